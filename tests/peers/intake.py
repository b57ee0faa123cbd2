"""What `longshore-intake` does with a push of GitHub, in Python with boto3: for the measurements, as a user would write it.

It verifies the signature, translates the push, keeps it with what is owed in one transaction unless it is there, tells the
bus, and answers. Its rows are those of the journal (`shared/adapters/aws/src/journal`), and it makes the same calls. It
speaks the Runtime API itself, in plain http.client: AWS's own client for Python starts no faster.
"""

import base64
import concurrent.futures
import datetime
import hashlib
import hmac
import http.client
import json
import os
import time
import tomllib

import boto3
from botocore.config import Config

TYPE = "dev.longshore.push.received.v1"
TAKERS = ["build", "refcheck"]

with open(os.environ["LONGSHORE_CONFIG"], "rb") as file:
    POLICY = tomllib.load(file)
REPOSITORIES = {repository["name"]: repository for repository in POLICY["repository"]}
SESSION = boto3.Session()
SETTINGS = Config(retries={"total_max_attempts": 1}, max_pool_connections=10)
TABLE = SESSION.client("dynamodb", config=SETTINGS)
BUS = SESSION.client("events", config=SETTINGS)
SECRETS = SESSION.client("secretsmanager", config=SETTINGS)


def secret_values(name):
    def version(stage):
        try:
            answer = SECRETS.get_secret_value(SecretId=os.environ["LONGSHORE_SECRET"], VersionStage=stage)
        except SECRETS.exceptions.ResourceNotFoundException:
            return None
        return json.loads(answer["SecretString"]).get(name)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [value for value in pool.map(version, ["AWSCURRENT", "AWSPREVIOUS"]) if value]


def is_signed(body, given):
    for secret in secret_values("github"):
        expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if hmac.compare_digest(expected, given):
            return True
    return False


def translate(push, delivery):
    repository = push["repository"]["full_name"]
    paths = {path for one in push["commits"] for kind in ("added", "removed", "modified") for path in one[kind]}
    none = "0" * 40
    return {
        "specversion": "1.0",
        "id": f"github/{delivery}",
        "source": f"github/{repository}",
        "subject": repository,
        "type": TYPE,
        "time": datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z"),
        "chainid": f"github/{delivery}",
        "data": {
            "provider": "github",
            "delivery": delivery,
            "repo": repository,
            "clone_url": push["repository"]["clone_url"],
            "ref": push["ref"],
            "ref_kind": "branch" if push["ref"].startswith("refs/heads/") else "tag",
            "before": None if push["before"] == none else push["before"],
            "after": None if push["after"] == none else push["after"],
            "created": push["created"],
            "deleted": push["deleted"],
            "forced": push["forced"],
            "actor": push["sender"]["login"],
            "paths": sorted(paths),
            "paths_truncated": False,
        },
    }


def put(key, item, **condition):
    pk, sk = key
    return {
        "Put": {
            "TableName": os.environ["LONGSHORE_TABLE"],
            "Item": {"pk": {"S": pk}, "sk": {"S": sk}} | item,
            **condition,
        }
    }


def keep(event):
    """Whether it was not there before."""
    key, table = f"event#{event['id']}", os.environ["LONGSHORE_TABLE"]
    found = TABLE.get_item(TableName=table, Key={"pk": {"S": key}, "sk": {"S": "event"}}, ConsistentRead=True)
    if "Item" in found:
        return False
    now = {"N": str(time.time_ns())}
    row = {"event": {"S": json.dumps(event)}, "waits": {"S": "event"}, "wake": now, "since": now}
    row["owed"] = {"S": f"chain#{event['chainid']}"}
    rows = [put((key, "event"), row, ConditionExpression="attribute_not_exists(pk)")]
    for function in TAKERS:
        owed = {"attempts": {"N": "0"}, "owed": {"S": "new"}, "since": now}
        rows.append(put((key, f"delivery#{function}"), owed))
    rows.append(put((f"head#{TYPE}#{event['subject']}", "head"), {"event": {"S": event["id"]}}))
    TABLE.transact_write_items(TransactItems=rows)
    entry = {"Source": "longshore", "DetailType": TYPE, "Detail": json.dumps(event)}
    told = BUS.put_events(Entries=[entry | {"EventBusName": os.environ["LONGSHORE_BUS"]}])
    if told["FailedEntryCount"]:
        print(json.dumps({"level": "WARN", "message": "the bus was not told; the sweep will tell it"}))
    return True


def answer(status, body):
    headers = {"content-type": "application/json"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body), "isBase64Encoded": False}


def take(request):
    headers, body = request["headers"], request["body"]
    body = base64.b64decode(body) if request["isBase64Encoded"] else body.encode()
    if not is_signed(body, headers.get("x-hub-signature-256", "")):
        return answer(401, {"code": "LS0203", "message": "the signature is missing or wrong"})
    push = json.loads(body)
    if push["repository"]["full_name"] not in REPOSITORIES:
        return answer(202, {"accepted": []})
    event = translate(push, headers["x-github-delivery"])
    keep(event)
    return answer(202, {"accepted": [event["id"]]})


def main():
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    root = "/2018-06-01/runtime/invocation/"
    while True:
        api.request("GET", root + "next")
        invocation = api.getresponse()
        payload = json.loads(invocation.read())
        try:
            outcome, said = "response", take(payload)
        except Exception as error:
            outcome, said = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        request = invocation.headers["lambda-runtime-aws-request-id"]
        api.request("POST", f"{root}{request}/{outcome}", json.dumps(said))
        api.getresponse().read()


main()
