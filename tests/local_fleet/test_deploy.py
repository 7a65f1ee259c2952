"""Deploying into a local AWS with the real SAM CLI."""

import json
from pathlib import Path

import pytest

from local_fleet.aws import LocalAws
from local_fleet.deploy import DeployError, deploy

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  First: {Type: String, Default: template}
  Second: {Type: String, Default: template}
  Third: {Type: String, Default: template}
Resources:
  Answer:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: code, Handler: app.handler, Runtime: python3.13, Layers: [!Ref Knowledge]}
  Knowledge:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer}
    Metadata: {BuildMethod: python3.13}
Outputs:
  Function: {Value: !Ref Answer}
  Parameters: {Value: !Sub "${First} ${Second} ${Third}"}
"""
SAMCONFIG = """
version = 0.1
[local.deploy.parameters]
parameter_overrides = ["First=samconfig", "Second=samconfig"]
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    files = {
        "template.yaml": TEMPLATE,
        "samconfig.toml": SAMCONFIG,
        "layer/knowledge.py": "ANSWER = 42\n",
        "layer/requirements.txt": "",
        "code/app.py": "from knowledge import ANSWER\n\ndef handler(event, context):\n    return ANSWER\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_a_function_answers_from_its_layer_and_parameters_add_to_the_configured_ones(application: Path) -> None:
    with LocalAws() as aws:
        outputs = deploy(aws, stack_name="trial", directory=application, parameters={"Second": "call"})
        answer = aws.session().client("lambda").invoke(FunctionName=outputs["Function"])

        assert json.load(answer["Payload"]) == 42
        assert outputs["Parameters"] == "samconfig call template"


def test_a_build_that_fails_tells_what_the_sam_cli_said(application: Path) -> None:
    (application / "layer/requirements.txt").write_text("this is no requirement\n")
    heard: list[str] = []

    with LocalAws() as aws, pytest.raises(DeployError, match=r"(?s)`sam build` ended with 1.*Build Failed"):
        deploy(aws, directory=application, progress=heard.append)

    assert any("Build Failed" in line for line in heard)
