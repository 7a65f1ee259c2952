"""Strings that a page must survive. Anybody who can name a thing, a topic or a role in the account can write them."""

SCRIPT = "<script>alert(document.domain)</script>"
ATTRIBUTE = "\"' onerror=alert(1) x='"
STYLE = "</style><style>*{display:none}</style>"
ENTITY = "&lt;b&gt;&#x3c;img src=x&#x3e;"
COMMENT = "--><!-- ]]> <![CDATA["
TURNED = "pump\u202e3\u2066\u200b\x00\x1b[31m"
TEMPLATE = "{{ 7 * 7 }}{% raw %}{# gone #}"
LONG = "x" * 400
ALL = (SCRIPT, ATTRIBUTE, STYLE, ENTITY, COMMENT, TURNED, TEMPLATE, LONG)
