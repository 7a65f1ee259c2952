"""The kit: one environment of templates, one stylesheet, one content security policy.

A page has no script and asks for nothing: its stylesheet is in it, and the policy allows that one by its hash.
Templates escape everything they print; `templates/components.html` has the parts that pages are made of.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, **values: Any) -> str:
    """Render one page. A name that the template uses and `values` lacks is an error, not an empty string."""
    return environment().get_template(template).render(**values)


def visible(value: Any) -> Any:
    """Write out what cannot be seen in a string: control characters, and those that turn its direction round."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in value)


@cache
def environment() -> Environment:
    """Make the environment that every page is rendered in."""
    environment = Environment(
        loader=PackageLoader("warden_pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    style = files("warden_pages").joinpath("style.css").read_text(encoding="utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    # Ours, and in it nothing of anybody else's: this is the only markup that no template escapes.
    environment.globals["style"] = Markup(style)  # noqa: S704 # nosec B704 # our own stylesheet
    environment.globals["security_policy"] = (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    return environment
