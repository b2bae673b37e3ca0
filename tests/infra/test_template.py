"""The packaged and the translated template: cfn-lint finds nothing, and what a site needs is in them."""

import json
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from chalicelib.cli.deploy_package import ZIPPED_MAX
from chalicelib.cli.deploy_template import FUNCTIONS
from chalicelib.ports.metadata import Table
from tests.infra.conftest import STAGES
from tests.infra.roles import opened
from tests.infra.translated import translated
from tests.lambda_host.packaging import Package, packaged

Properties = dict[str, Any]


def of_type(package: Package, kind: str) -> dict[str, Properties]:
    """Logical id → properties, with references filled in."""
    return opened(package).resolve(opened(package).of_type(kind))


@pytest.mark.parametrize("form", ["packaged", "translated"])
def test_cfn_lint_finds_nothing(west: Package, form: str) -> None:
    """No error, warning or hint in the regions of both stages; nothing is ignored."""
    template = west.template if form == "packaged" else translated(west)
    regions = [packaged(stage).variables["CAUSEWAY_REGION"] for stage in STAGES]
    found = lint(json.dumps(template), config=ManualArgs(regions=regions))

    assert [f"{one.rule.id} {one.path}: {one.message}" for one in found] == []


def test_both_stages_are_one_template(west: Package) -> None:
    """East's is west's with other names: what is true of one is true of the other."""

    def nameless(package: Package) -> Any:
        told = json.dumps([package.template["Resources"], package.template["Outputs"]])
        site, region = (package.variables[name] for name in ("CAUSEWAY_SITE", "CAUSEWAY_REGION"))
        told = told.replace(region, "REGION")
        for own in ("causeway-{}", "stage={}", 'SITE": "{}'):
            told = told.replace(own.format(site), own)
        return json.loads(told)

    assert nameless(packaged("east")) == nameless(west)


def test_the_functions_of_the_template_are_the_functions_of_the_app(package: Package) -> None:
    """infra/ speaks of each function that app.py binds, and of no other."""
    found = of_type(package, "AWS::Serverless::Function")

    assert found.keys() == FUNCTIONS.keys()
    site = package.variables["CAUSEWAY_SITE"]
    names = {each["FunctionName"] for each in found.values()}
    assert names == {f"causeway-{site}-{name}" for name in FUNCTIONS.values()}


def test_every_method_reaches_the_function_on_every_path(package: Package) -> None:
    """S3's verbs on service, bucket and object; bodies both ways as they are."""
    api = opened(package).api()
    assert api is not None

    verbs = {"GET", "HEAD", "PUT", "POST", "DELETE"}
    paths = ("/", "/{bucket}", "/{bucket}/{key+}")
    assert {(r.resource, r.method) for r in api.routes} >= {(path, verb) for path in paths for verb in verbs}
    assert {r.function for r in api.routes} == {"APIHandler"}
    assert (api.stage, api.binary_types) == ("s3", ("*/*",))
    (properties,) = of_type(package, "AWS::Serverless::Api").values()
    assert properties["EndpointConfiguration"] == "REGIONAL"
    assert "MinimumCompressionSize" not in properties


def test_the_function_url_asks_aws_for_nothing(package: Package) -> None:
    """Only the gateway has one, and the function itself verifies who calls."""
    with_url = {
        name: each["FunctionUrlConfig"]
        for name, each in of_type(package, "AWS::Serverless::Function").items()
        if "FunctionUrlConfig" in each
    }

    assert with_url == {"Gateway": {"AuthType": "NONE", "InvokeMode": "BUFFERED"}}


def test_the_tables_are_those_of_the_adapter(package: Package) -> None:
    """Nine tables by the names the functions use: on demand, recoverable, encrypted, kept."""
    found = of_type(package, "AWS::DynamoDB::Table")

    prefix = package.variables["CAUSEWAY_DYNAMODB_PREFIX"]
    assert {each["TableName"] for each in found.values()} == {f"{prefix}-{table}" for table in Table}
    for name, each in found.items():
        assert package.template["Resources"][name]["DeletionPolicy"] == "Retain"
        assert package.template["Resources"][name]["UpdateReplacePolicy"] == "Retain"
        assert each["KeySchema"] == [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ]
        assert each["AttributeDefinitions"] == [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "B"},
        ]
        assert each["BillingMode"] == "PAY_PER_REQUEST" and each["DeletionProtectionEnabled"]
        assert each["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert each["SSESpecification"]["SSEType"] == "KMS"


def test_the_bucket_is_closed_encrypted_and_unversioned(package: Package) -> None:
    """What the adapter needs, and what a bucket of blocks must not be."""
    ((name, bucket),) = of_type(package, "AWS::S3::Bucket").items()

    assert bucket["BucketName"] == package.variables["CAUSEWAY_BLOCKS_BUCKET"]
    assert package.template["Resources"][name]["DeletionPolicy"] == "Retain"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] and rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert "VersioningConfiguration" not in bucket
    (lifecycle,) = bucket["LifecycleConfiguration"]["Rules"]
    assert lifecycle.keys() == {"Id", "Status", "AbortIncompleteMultipartUpload"}
    (policy,) = of_type(package, "AWS::S3::BucketPolicy").values()
    denied = [s["Condition"] for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert {"Bool": {"aws:SecureTransport": "false"}} in denied


def test_documents_wake_the_function_through_the_queue(package: Package) -> None:
    """manifests/ → the queue, which takes messages from this bucket of this account only → on_documents."""
    (bucket,) = of_type(package, "AWS::S3::Bucket").values()
    queues = of_type(package, "AWS::SQS::QueuePolicy")
    (notification,) = bucket["NotificationConfiguration"]["QueueConfigurations"]
    (allowing,) = [
        s for s in queues["DocumentsQueuePolicy"]["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"
    ]

    assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "manifests/"}]
    assert notification["Queue"] == allowing["Resource"]
    assert allowing["Condition"] == {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket['BucketName']}"},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    assert package.template["Resources"]["BlocksBucket"]["DependsOn"] == ["DocumentsQueuePolicy"]


@pytest.mark.parametrize(("function", "queue"), [("OnDocuments", "Documents"), ("FullsyncStep", "Fullsync")])
def test_queues_have_time_tries_and_a_dead_letter_queue(package: Package, function: str, queue: str) -> None:
    """A message is invisible for six times the function's time, and after five tries goes to the dead."""
    template = opened(package)
    queues = of_type(package, "AWS::SQS::Queue")
    spec = template.functions()[function]
    (source,) = spec.queues
    alive, dead = queues[f"{queue}Queue"], queues[f"{queue}DeadQueue"]

    arn = template.resolve(source.queue)
    assert arn.endswith(f":{alive['QueueName']}") and source.reports_failures and source.concurrency >= 2
    assert alive["VisibilityTimeout"] >= 6 * spec.timeout_s
    assert alive["RedrivePolicy"]["maxReceiveCount"] == 5
    assert alive["RedrivePolicy"]["deadLetterTargetArn"].endswith(f":{dead['QueueName']}")
    assert dead["RedriveAllowPolicy"] == {"redrivePermission": "byQueue", "sourceQueueArns": [arn]}
    assert dead["MessageRetentionPeriod"] == 14 * 86400
    assert alive["SqsManagedSseEnabled"] and dead["SqsManagedSseEnabled"]


def test_schedules_call_what_must_run(package: Package) -> None:
    """The sweep and the start of fullsyncs each minute, GC each hour."""
    found = {
        name: [schedule.expression for schedule in spec.schedules]
        for name, spec in opened(package).functions().items()
        if spec.schedules
    }

    assert found == {
        "Sweep": ["rate(1 minute)"],
        "Fullsync": ["rate(1 minute)"],
        "Collect": ["rate(1 hour)"],
    }


def test_every_function_has_logs_that_end_and_alarms(package: Package) -> None:
    """A log group with retention that the function writes to, an alarm on its errors and one on throttles."""
    groups = of_type(package, "AWS::Logs::LogGroup")
    alarms = of_type(package, "AWS::CloudWatch::Alarm")
    watched = {
        (each.get("MetricName"), dimension["Value"])
        for each in alarms.values()
        for dimension in each.get("Dimensions", [])
    }

    for name in FUNCTIONS:
        function = package.template["Resources"][name]["Properties"]
        assert function["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Logs"}}
        assert groups[f"{name}Logs"]["RetentionInDays"] == 30
        called = f"causeway-{package.variables['CAUSEWAY_SITE']}-{FUNCTIONS[name]}"
        assert {("Errors", called), ("Throttles", called)} <= watched


def test_alarms_watch_the_site(package: Package) -> None:
    """Lag, dead letters, a sweep that stopped; DynamoDB throttling and failing for each table."""
    alarms = of_type(package, "AWS::CloudWatch::Alarm")
    site = package.variables["CAUSEWAY_SITE"]

    lag = alarms["Lag"]
    assert (lag["Namespace"], lag["MetricName"], lag["Statistic"]) == ("Causeway", "lag_seconds", "Maximum")
    assert lag["Dimensions"] == [{"Name": "service", "Value": "causeway"}, {"Name": "site", "Value": site}]
    failing = alarms["RequestsFailing"]
    assert (failing["Namespace"], failing["MetricName"]) == ("Causeway", "request_failures")
    assert failing["Dimensions"] == lag["Dimensions"]
    for queue in ("documents", "fullsync"):
        (dead,) = [a for a in alarms.values() if a["AlarmName"] == f"causeway-{site}-{queue}-dead"]
        assert dead["MetricName"] == "ApproximateNumberOfMessagesVisible" and dead["Threshold"] == 0
    assert alarms["SweepStopped"]["TreatMissingData"] == "breaching"
    for table in Table:
        for what in ("Throttled", "Failing"):
            assert f"{table.capitalize()}{what}" in alarms


def test_functions_find_what_the_stack_made(package: Package) -> None:
    """Every variable of the environment is a setting, and has the name of what is made here."""
    from chalicelib.settings import Settings

    for spec in opened(package).functions().values():
        variables = spec.environment({})
        settings = Settings.from_environment(variables)
        assert settings.dynamodb_prefix == f"causeway-{settings.site}"
        assert settings.kms_key == f"alias/causeway-{settings.site}"
        assert settings.documents_queue.endswith(f"/causeway-{settings.site}-documents")
        assert settings.fullsync_dead_queue.endswith(f"/causeway-{settings.site}-fullsync-dead")


def test_the_package_is_small_and_the_same_everywhere(west: Package) -> None:
    """Under 50 MB zipped, and one package for all sites."""
    east = packaged("east")

    assert sum(west.zips.values()) < ZIPPED_MAX
    for name in west.zips:
        assert (west.directory / name).read_bytes() == (east.directory / name).read_bytes()
