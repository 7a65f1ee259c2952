"""What CloudFormation makes of a template before it calls anything: parameters, rules, conditions, references."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ACCOUNT = "123456789012"
NO_VALUE = {"Ref": "AWS::NoValue"}


class TemplateError(Exception):
    """Raised when parameters or rules do not let the template be used; nothing was made."""


class UnknownReferenceError(Exception):
    """Raised for a reference to what does not exist."""


@dataclass(frozen=True)
class Place:
    """The account and region of a stack, and its name."""

    stack: str = "baseline"
    region: str = "eu-central-1"
    partition: str = "aws"
    account: str = ACCOUNT

    @property
    def pseudo(self) -> dict[str, str]:
        """Return the pseudo parameters."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return {
            "AWS::AccountId": self.account,
            "AWS::Partition": self.partition,
            "AWS::Region": self.region,
            "AWS::StackName": self.stack,
            "AWS::URLSuffix": suffix,
        }


@dataclass(frozen=True)
class Made:
    """The names of a resource after it was made."""

    ref: str
    attributes: Mapping[str, str]


class Evaluation:
    """A template with its parameters filled in, at one place.

    Raises:
        TemplateError: a parameter is unknown or out of bounds, or a rule's assertion does not hold.
    """

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str], place: Place) -> None:
        self.template = template
        self.place = place
        self._values: dict[str, Any] = {**place.pseudo, **_parameters(template.get("Parameters", {}), parameters)}
        self._made: Mapping[str, Made] = {}
        self._check_rules()

    def _check_rules(self) -> None:
        for name, rule in self.template.get("Rules", {}).items():
            if "RuleCondition" in rule and not self._resolve(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self._resolve(assertion["Assert"]):
                    raise TemplateError(f"{name}: {assertion['AssertDescription']}")

    def holds(self, condition: str) -> bool:
        """Check a condition by its name."""
        return bool(self._resolve(self.template["Conditions"][condition]))

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the resources that are made, in an order in which each can be."""
        here = {
            name: resource
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.holds(resource["Condition"])
        }
        ordered: dict[str, dict[str, Any]] = {}

        def put(name: str, waiting: tuple[str, ...] = ()) -> None:
            if name in waiting:
                raise TemplateError(f"Circular dependency between resources: {waiting}")
            for needed in sorted(self.needs(name)):
                if needed not in here:
                    raise TemplateError(f"Unresolved resource dependencies [{needed}] in {name}")
                if needed not in ordered:
                    put(needed, (*waiting, name))
            ordered.setdefault(name, here[name])

        for name in here:
            put(name)
        return ordered

    def needs(self, name: str) -> set[str]:
        """Name the resources that one refers to or waits for."""
        resource = self.template["Resources"][name]
        waits = resource.get("DependsOn", [])
        found = set(waits if isinstance(waits, list) else [waits])
        self._collect(resource.get("Properties", {}), found)
        return found

    def _collect(self, value: Any, found: set[str]) -> None:
        value = self._chosen(value)
        if isinstance(value, list):
            for each in value:
                self._collect(each, found)
        elif isinstance(value, Mapping):
            if len(value) == 1:
                found |= self._named(*next(iter(value.items())))
            for each in value.values():
                self._collect(each, found)

    def _named(self, function: str, argument: Any) -> set[str]:
        if function == "Ref":
            named = {argument}
        elif function == "Fn::GetAtt":
            named = {argument[0]}
        elif function == "Fn::Sub":
            named = {each.partition(".")[0] for each in re.findall(r"\$\{([^!}][^}]*)\}", argument)}
        else:
            named = set()
        return named & set(self.template["Resources"])

    def _chosen(self, value: Any) -> Any:
        """Follow Fn::If to the branch that counts."""
        while isinstance(value, Mapping) and set(value) == {"Fn::If"}:
            condition, yes, no = value["Fn::If"]
            value = yes if self.holds(condition) else no
        return value

    def properties(self, name: str, made: Mapping[str, Made]) -> dict[str, Any]:
        """Return a resource's properties with everything filled in.

        Raises:
            UnknownReferenceError: it refers to what is not made.
        """
        self._made = made
        return dict(self._resolve(self.template["Resources"][name].get("Properties", {})))

    def outputs(self, made: Mapping[str, Made]) -> dict[str, Any]:
        """Return the stack's outputs."""
        self._made = made
        return {
            name: self._resolve(output["Value"])
            for name, output in self.template.get("Outputs", {}).items()
            if "Condition" not in output or self.holds(output["Condition"])
        }

    def _resolve(self, value: Any) -> Any:
        value = self._chosen(value)
        if isinstance(value, list):
            return [self._resolve(each) for each in map(self._chosen, value) if each != NO_VALUE]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function in _FUNCTIONS:
                return _FUNCTIONS[function](self, argument)
        return {key: self._resolve(each) for key, each in value.items() if self._chosen(each) != NO_VALUE}

    def ref(self, name: str) -> Any:
        """Return what Ref does."""
        if name in self._values:
            return self._values[name]
        if name in self._made:
            return self._made[name].ref
        raise UnknownReferenceError(name)

    def attribute(self, name: str, attribute: str) -> str:
        """Return what Fn::GetAtt does."""
        if name not in self._made or attribute not in self._made[name].attributes:
            raise UnknownReferenceError(f"{name}.{attribute}")
        return self._made[name].attributes[attribute]

    def sub(self, text: str) -> str:
        """Return what Fn::Sub does with a string."""

        def filled(found: re.Match[str]) -> str:
            name, _, attribute = found[1].partition(".")
            return self.attribute(name, attribute) if attribute else str(self.ref(name))

        return re.sub(r"\$\{([^!}][^}]*)\}", filled, text)


_FUNCTIONS: dict[str, Callable[[Evaluation, Any], Any]] = {
    "Ref": lambda here, name: here.ref(name),
    "Condition": lambda here, name: here.holds(name),
    "Fn::GetAtt": lambda here, named: here.attribute(*named),
    "Fn::Sub": lambda here, text: here.sub(text),
    "Fn::Join": lambda here, join: join[0].join(here._resolve(join[1])),
    "Fn::Equals": lambda here, both: here._resolve(both[0]) == here._resolve(both[1]),
    "Fn::Not": lambda here, one: not here._resolve(one[0]),
    "Fn::And": lambda here, several: all(here._resolve(each) for each in several),
    "Fn::Or": lambda here, several: any(here._resolve(each) for each in several),
    "Fn::Contains": lambda here, search: here._resolve(search[1]) in here._resolve(search[0]),
}


def _parameters(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    if unknown := set(given) - set(declared):
        raise TemplateError(f"Parameters: {sorted(unknown)} do not exist in the template")
    return {name: _value(name, each, given.get(name, each.get("Default"))) for name, each in declared.items()}


def _value(name: str, declared: Mapping[str, Any], value: Any) -> Any:
    text = str(value)  # CloudFormation hands every parameter on as a string
    allowed = [str(each) for each in declared.get("AllowedValues", [])]
    if allowed and text not in allowed:
        raise TemplateError(f"Parameter {name} must be one of {allowed}")
    if "AllowedPattern" in declared and not re.fullmatch(declared["AllowedPattern"], text):
        raise TemplateError(f"Parameter {name} failed to satisfy {declared['AllowedPattern']}")
    if declared["Type"] == "Number" and not _within(declared, float(text)):
        raise TemplateError(f"Parameter {name} is out of bounds")
    return text.split(",") if declared["Type"] == "CommaDelimitedList" else text


def _within(declared: Mapping[str, Any], number: float) -> bool:
    return float(declared.get("MinValue", number)) <= number <= float(declared.get("MaxValue", number))
