"""The template as CloudFormation has it, and a stack of it on moto: for the tests, run by the peer `sam-python`.

    stack.py transform TEMPLATE
    stack.py deploy TEMPLATE STACK ENDPOINT

`transform` prints the template with the SAM transform done. `deploy` prints `{"ids": …, "outputs": …, "called": …, "found": …}`:
the physical ids by logical id, the outputs, which resources moto's CloudFormation does not know and were made by calls
to their own services, with the very properties of the template, and what the services say of every resource. Code and layers are empty archives.
"""


import ast
import functools
import io
import json
import os
import re
import sys
import zipfile

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

REGION = "eu-west-1"
ACCOUNT = "123456789012"
CODE = {"Bucket": "code", "Key": "empty.zip"}
NOTHING = object()
PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::NoValue": NOTHING,
}
# How the ARNs of what is asked for by name are made.
ARNS = {
    "AWS::CodeBuild::Project": f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/",
    "AWS::Events::EventBus": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/",
    "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:",
    "AWS::S3::Bucket": "arn:aws:s3:::",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:",
}


class NoManagedPolicies:
    """The template names no managed policy."""

    def load(self):
        return {}


def transformed(path):
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    # What `sam package` does: local folders become objects in S3.
    template["Globals"]["Function"]["CodeUri"] = CODE
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = CODE
    return transform(template, {}, NoManagedPolicies())


class Stack:
    """A template with what is known of its resources."""

    def __init__(self, template, name, endpoint):
        self.resources = template["Resources"]
        self.conditions = template.get("Conditions", {})
        self.values = {key: value["Default"] for key, value in template["Parameters"].items()}
        self.values |= PSEUDO | {"AWS::StackName": name}
        self.outputs = template.pop("Outputs")
        self.template, self.name, self.endpoint, self.ids = template, name, endpoint, {}
        self.session = boto3.Session(
            aws_access_key_id="AKIATEST", aws_secret_access_key="secret", region_name=REGION
        )

    @functools.cache
    def client(self, service):
        return self.session.client(service, endpoint_url=self.endpoint)

    def attribute(self, logical, name):
        kind, id = self.resources[logical]["Type"], self.ids[logical]
        if kind == "AWS::SQS::Queue":
            id = id.rsplit("/", 1)[-1]
        if name == "FunctionUrl":
            return id
        return ARNS[kind] + id if name == "Arn" else id

    def condition(self, value):
        if isinstance(value, str):
            return self.condition(self.conditions[value])
        ((name, operands),) = value.items()
        if name == "Fn::Not":
            return not self.condition(operands[0])
        left, right = (self.resolved(operand) for operand in operands)
        return left == right

    def substituted(self, text):
        def one(match):
            logical, _, name = match[1].partition(".")
            return str(self.attribute(logical, name) if name else self.resolved({"Ref": logical}))

        return re.sub(r"\$\{([^}]*)\}", one, text)

    def resolved(self, value, keep=()):
        """The value without functions; references to what `keep` names stay."""
        if isinstance(value, list):
            return [one for one in (self.resolved(one, keep) for one in value) if one is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, operand),) = value.items()
            if name == "Ref":
                return value if operand in keep else {**self.values, **self.ids}[operand]
            if name == "Fn::GetAtt":
                return value if operand[0] in keep else self.attribute(*operand)
            if name == "Fn::Sub":
                return value if keep else self.substituted(operand)
            if name == "Fn::If" and not keep:
                return self.resolved(operand[1 if self.condition(operand[0]) else 2], keep)
        pairs = ((key, self.resolved(one, keep)) for key, one in value.items())
        return {key: one for key, one in pairs if one is not NOTHING}

    def properties(self, logical):
        return self.resolved(self.resources[logical].get("Properties", {}))


def lowered(value):
    """CodeBuild and Logs call by `name` what CloudFormation calls `Name`."""
    if isinstance(value, list):
        return [lowered(one) for one in value]
    if not isinstance(value, dict):
        return value
    names = {"BuildSpec": "buildspec"}
    return {names.get(key, key[0].lower() + key[1:]): lowered(one) for key, one in value.items()}


def make_secret(stack, logical):
    wanted = stack.resources[logical]["Properties"]["GenerateSecretString"]
    client = stack.client("secretsmanager")
    value = client.get_random_password(
        PasswordLength=wanted["PasswordLength"], ExcludePunctuation=wanted["ExcludePunctuation"]
    )["RandomPassword"]
    text = json.dumps(json.loads(wanted["SecretStringTemplate"]) | {wanted["GenerateStringKey"]: value})
    return client.create_secret(Name=stack.name, SecretString=text)["ARN"]


def make_url(stack, logical):
    properties = stack.properties(logical)
    asked = {"FunctionName": properties["TargetFunctionArn"], "AuthType": properties["AuthType"]}
    return stack.client("lambda").create_function_url_config(**asked)["FunctionUrl"]


def make_invoke_config(stack, logical):
    asked = stack.properties(logical)
    del asked["Qualifier"]
    stack.client("lambda").put_function_event_invoke_config(**asked)


def make_project(stack, logical):
    asked = lowered(stack.properties(logical))
    # moto wants one of every source, and AWS none of this one.
    asked["source"]["location"] = "none"
    stack.client("codebuild").create_project(**asked)


def make_alarm(stack, logical):
    stack.client("cloudwatch").put_metric_alarm(**stack.properties(logical))


def make_filter(stack, logical):
    stack.client("logs").put_metric_filter(filterName=logical, **lowered(stack.properties(logical)))


def make_queue_policy(stack, logical):
    properties = stack.properties(logical)
    policy = {"Policy": json.dumps(properties["PolicyDocument"])}
    for queue in properties["Queues"]:
        stack.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes=policy)


def make_bucket_policy(stack, logical):
    properties = stack.properties(logical)
    document = json.dumps(properties["PolicyDocument"])
    stack.client("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=document)


# What moto's CloudFormation does not know. The first two are asked for by the others, and go before.
CALLS = {
    "AWS::SecretsManager::Secret": make_secret,
    "AWS::CodeBuild::Project": make_project,
    "AWS::Lambda::Url": make_url,
    "AWS::Lambda::EventInvokeConfig": make_invoke_config,
    "AWS::CloudWatch::Alarm": make_alarm,
    "AWS::Logs::MetricFilter": make_filter,
    "AWS::SQS::QueuePolicy": make_queue_policy,
    "AWS::S3::BucketPolicy": make_bucket_policy,
}


def described(stack, logical):
    """What the resource's own service says of it; fails when it is not there."""
    kind, id = stack.resources[logical]["Type"], stack.ids[logical]
    call = lambda service, name, **asked: getattr(stack.client(service), name)(**asked)
    asked_for = stack.resources[logical].get("Properties", {})
    wanted = lambda name: stack.resolved(asked_for[name])
    match kind:
        case "AWS::CloudWatch::Alarm":
            found = call("cloudwatch", "describe_alarms", AlarmNames=[wanted("AlarmName")])
            return found["MetricAlarms"][0]
        case "AWS::CodeBuild::Project":
            return call("codebuild", "batch_get_projects", names=[id])["projects"][0]
        case "AWS::DynamoDB::Table":
            backups = call("dynamodb", "describe_continuous_backups", TableName=id)
            return backups["ContinuousBackupsDescription"]
        case "AWS::Events::EventBus":
            return call("events", "describe_event_bus", Name=id)
        case "AWS::Events::Rule":
            bus = stack.resolved(asked_for.get("EventBusName", "default"))
            rule = call("events", "describe_rule", Name=id, EventBusName=bus)
            targets = call("events", "list_targets_by_rule", Rule=id, EventBusName=bus)["Targets"]
            return rule | {"Targets": targets}
        case "AWS::IAM::Role":
            (name,) = call("iam", "list_role_policies", RoleName=id)["PolicyNames"]
            policy = call("iam", "get_role_policy", RoleName=id, PolicyName=name)["PolicyDocument"]
            # moto writes down what it was given as Python says it.
            return ast.literal_eval(policy) if isinstance(policy, str) else policy
        case "AWS::Lambda::EventInvokeConfig":
            function = wanted("FunctionName")
            return call("lambda", "get_function_event_invoke_config", FunctionName=function)
        case "AWS::Lambda::EventSourceMapping":
            return call("lambda", "get_event_source_mapping", UUID=id)
        case "AWS::Lambda::Function":
            return call("lambda", "get_function_configuration", FunctionName=id)
        case "AWS::Lambda::LayerVersion":
            return call("lambda", "list_layers")["Layers"][0]
        case "AWS::Lambda::Permission":
            function = wanted("FunctionName")
            return json.loads(call("lambda", "get_policy", FunctionName=function)["Policy"])
        case "AWS::Lambda::Url":
            function = wanted("TargetFunctionArn")
            return call("lambda", "get_function_url_config", FunctionName=function)
        case "AWS::Logs::LogGroup":
            found = call("logs", "describe_log_groups", logGroupNamePrefix=id)
            return found["logGroups"][0]
        case "AWS::Logs::MetricFilter":
            group = wanted("LogGroupName")
            return call("logs", "describe_metric_filters", logGroupName=group)["metricFilters"][0]
        case "AWS::S3::Bucket":
            return call("s3", "get_bucket_encryption", Bucket=id)
        case "AWS::S3::BucketPolicy":
            return json.loads(call("s3", "get_bucket_policy", Bucket=wanted("Bucket"))["Policy"])
        case "AWS::SNS::Topic":
            return call("sns", "get_topic_attributes", TopicArn=id)["Attributes"]
        case "AWS::SQS::Queue":
            return call("sqs", "get_queue_attributes", QueueUrl=id, AttributeNames=["All"])["Attributes"]
        case "AWS::SQS::QueuePolicy":
            asked = {"QueueUrl": wanted("Queues")[0], "AttributeNames": ["Policy"]}
            return json.loads(call("sqs", "get_queue_attributes", **asked)["Attributes"]["Policy"])
        case "AWS::SecretsManager::Secret":
            return call("secretsmanager", "describe_secret", SecretId=id)


def put_code(stack):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("bootstrap", "")
    storage = stack.client("s3")
    storage.create_bucket(
        Bucket=CODE["Bucket"], CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    storage.put_object(Bucket=CODE["Bucket"], Key=CODE["Key"], Body=archive.getvalue())


def create(stack, called):
    """Has CloudFormation make all that moto's knows."""
    known = {key: value for key, value in stack.resources.items() if key not in called}
    # moto knows no name of a bus that is asked for by reference.
    buses = {key for key, value in known.items() if value["Type"] == "AWS::Events::EventBus"}
    for bus in buses:
        stack.ids[bus] = stack.properties(bus)["Name"]
    keep = (set(known) | set(stack.values)) - buses
    template = stack.template | {"Resources": stack.resolved(known, keep)}
    client = stack.client("cloudformation")
    client.create_stack(
        StackName=stack.name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )
    said = client.describe_stacks(StackName=stack.name)["Stacks"][0]
    if said["StackStatus"] != "CREATE_COMPLETE":
        sys.exit(f"{said['StackStatus']}: {said.get('StackStatusReason')}")
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack.name)
    for resource in (one for page in pages for one in page["StackResourceSummaries"]):
        if resource["PhysicalResourceId"]:
            stack.ids[resource["LogicalResourceId"]] = resource["PhysicalResourceId"]
    # moto tells no id of layers and of permissions.
    for logical in known:
        stack.ids.setdefault(logical, logical)


def deployed(path, name, endpoint):
    stack = Stack(transformed(path), name, endpoint)
    called = {
        logical: CALLS[resource["Type"]]
        for kind in CALLS
        for logical, resource in stack.resources.items()
        if resource["Type"] == kind
    }
    put_code(stack)
    for logical, make in called.items():
        if make is make_secret:
            stack.ids[logical] = make(stack, logical)
        elif make is make_project:
            stack.ids[logical] = stack.substituted(stack.resources[logical]["Properties"]["Name"]["Fn::Sub"])
    create(stack, called)
    for logical, make in called.items():
        if make is not make_secret:
            stack.ids[logical] = make(stack, logical) or stack.ids.get(logical, logical)
    outputs = {key: stack.resolved(output["Value"]) for key, output in stack.outputs.items()}
    made = [
        logical
        for logical, resource in stack.resources.items()
        if "Condition" not in resource or stack.condition(resource["Condition"])
    ]
    found = {logical: described(stack, logical) for logical in made}
    # The policies deny what comes unencrypted, and nobody speaks to moto in any other way.
    stack.client("s3").delete_bucket_policy(Bucket=stack.ids["Bucket"])
    return {"ids": stack.ids, "outputs": outputs, "called": sorted(called), "found": found}


def main():
    # The transform asks the environment.
    os.environ["AWS_DEFAULT_REGION"] = REGION
    command, path, *rest = sys.argv[1:]
    answer = transformed(path) if command == "transform" else deployed(path, *rest)
    json.dump(answer, sys.stdout, indent=1, sort_keys=True, default=str)


main()
