"""CloudFormation and Terraform make the same site: what calls its functions, what they log, who is told."""

import json
from typing import Any

import pytest

from chalicelib.cli.deploy_template import FUNCTIONS
from tests.infra.terraform import Made, applied, wanted
from tests.infra.translated import resolved, translated
from tests.lambda_host.packaging import Package
from tests.lambda_host.template import ACCOUNT

Properties = dict[str, Any]
ASKS = {"alarm_email": "on-call@example.com", "api_logs": "make-role"}
TOPIC = f"arn:aws:sns:us-west-2:{ACCOUNT}:causeway-west-alarms"


@pytest.fixture(scope="module")
def terraform(west: Package, tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    """What Terraform makes."""
    wanted()
    return applied(tmp_path_factory.mktemp("parity"), west, **ASKS)


def _made(terraform: list[Made], kind: str) -> list[Properties]:
    return [one.values for one in terraform if one.kind == kind]


def _templated(west: Package, kind: str) -> list[Properties]:
    asks = {"AlarmEmail": ASKS["alarm_email"], "ApiLogs": ASKS["api_logs"], "AlarmsTopic": TOPIC}
    return list(resolved(west, kind, **asks).values())


def test_queues_call_the_same_functions(terraform: list[Made], west: Package) -> None:
    """Queue, batch, partial responses, how many at once."""
    names = {logical: f"causeway-west-{name}" for logical, name in FUNCTIONS.items()}
    theirs = {
        one["EventSourceArn"]: (
            one["BatchSize"],
            one["MaximumBatchingWindowInSeconds"],
            one["FunctionResponseTypes"],
            one["ScalingConfig"]["MaximumConcurrency"],
            one["FunctionName"].rpartition(":")[2],
        )
        for one in _templated(west, "AWS::Lambda::EventSourceMapping")
    }
    ours = {
        one["event_source_arn"]: (
            one["batch_size"],
            one["maximum_batching_window_in_seconds"],
            one["function_response_types"],
            one["scaling_config"][0]["maximum_concurrency"],
            one["function_name"].rpartition(":")[2],
        )
        for one in _made(terraform, "aws_lambda_event_source_mapping")
    }

    theirs = {arn: (*rest, names.get(name, name)) for arn, (*rest, name) in theirs.items()}
    assert ours == theirs


def test_schedules_are_the_same(terraform: list[Made], west: Package) -> None:
    """Rates of each scheduled function, and that EventBridge may call it."""
    rules = {
        name: one for name, one in translated(west)["Resources"].items() if "Events::Rule" in one["Type"]
    }
    theirs = {
        FUNCTIONS[one["Properties"]["Targets"][0]["Arn"]["Fn::GetAtt"][0]]: one["Properties"][
            "ScheduleExpression"
        ]
        for one in rules.values()
    }
    targets = {one["rule"]: one["arn"] for one in _made(terraform, "aws_cloudwatch_event_target")}
    ours = {
        targets[one["name"]].rpartition("causeway-west-")[2]: one["schedule_expression"]
        for one in _made(terraform, "aws_cloudwatch_event_rule")
    }

    assert ours == theirs


def test_the_same_may_call(terraform: list[Made], west: Package) -> None:
    """Principal, action and function of every permission; the Function URL has the two it needs."""
    theirs = sorted(
        (
            one["Principal"],
            one["Action"],
            one.get("FunctionUrlAuthType", ""),
            bool(one.get("InvokedViaFunctionUrl")),
            "SourceArn" in one,
        )
        for one in _templated(west, "AWS::Lambda::Permission")
    )
    ours = sorted(
        (
            one["principal"],
            one["action"],
            one["function_url_auth_type"] or "",
            bool(one["invoked_via_function_url"]),
            bool(one["source_arn"]),
        )
        for one in _made(terraform, "aws_lambda_permission")
    )

    assert ours == theirs


def test_the_api_is_the_same(terraform: list[Made], west: Package) -> None:
    """Every path and method, binary bodies, stage, throttling, access logs without a query."""
    body = next(iter(_templated(west, "AWS::ApiGateway::RestApi")))["Body"]
    (stage,) = _templated(west, "AWS::ApiGateway::Stage")
    theirs = {
        (verb.upper(), path) for path, verbs in body["paths"].items() for verb in verbs if verb != "options"
    }
    ours = {tuple(str(one.key).split(" ")) for one in terraform if one.kind == "aws_api_gateway_method"}
    (rest,) = _made(terraform, "aws_api_gateway_rest_api")
    (staged,) = _made(terraform, "aws_api_gateway_stage")
    (settings,) = [one["settings"][0] for one in _made(terraform, "aws_api_gateway_method_settings")]
    (theirs_settings,) = stage["MethodSettings"]

    assert ours == theirs and len(ours) == 15
    assert rest["binary_media_types"] == body["x-amazon-apigateway-binary-media-types"] == ["*/*"]
    assert rest["endpoint_configuration"][0]["types"] == ["REGIONAL"]
    assert staged["stage_name"] == stage["StageName"]
    assert {
        "ThrottlingRateLimit": settings["throttling_rate_limit"],
        "ThrottlingBurstLimit": settings["throttling_burst_limit"],
        "MetricsEnabled": settings["metrics_enabled"],
        "DataTraceEnabled": settings["data_trace_enabled"],
    } == {key: theirs_settings[key] for key in theirs_settings if key not in ("ResourcePath", "HttpMethod")}
    logged = json.loads(stage["AccessLogSetting"]["Format"])
    assert json.loads(staged["access_log_settings"][0]["format"]) == logged
    for one in _made(terraform, "aws_api_gateway_integration"):
        assert (one["type"], one["integration_http_method"]) == ("AWS_PROXY", "POST")


def test_the_gateways_own_answers_are_the_same(terraform: list[Made], west: Package) -> None:
    """Status and body of each."""
    body = next(iter(_templated(west, "AWS::ApiGateway::RestApi")))["Body"]
    theirs = {
        kind: (str(one.get("statusCode", "")), one["responseTemplates"]["application/xml"])
        for kind, one in body["x-amazon-apigateway-gateway-responses"].items()
    }
    ours = {
        one["response_type"]: (one["status_code"] or "", one["response_templates"]["application/xml"])
        for one in _made(terraform, "aws_api_gateway_gateway_response")
    }

    assert ours == theirs


def test_logs_are_the_same(terraform: list[Made], west: Package) -> None:
    """Log groups, how long they are kept, and under which key."""
    theirs = {
        one["LogGroupName"]: (one["RetentionInDays"], one["KmsKeyId"])
        for one in _templated(west, "AWS::Logs::LogGroup")
    }
    ours = {
        one["name"]: (one["retention_in_days"], one["kms_key_id"])
        for one in _made(terraform, "aws_cloudwatch_log_group")
    }

    assert ours == theirs


def test_alarms_are_the_same(terraform: list[Made], west: Package) -> None:
    """Every alarm: metric or expression, threshold, times, what missing data means, who is told."""
    theirs = {one["AlarmName"]: _alarm(one) for one in _templated(west, "AWS::CloudWatch::Alarm")}
    ours = {}
    for one in _made(terraform, "aws_cloudwatch_metric_alarm"):
        ours[one["alarm_name"]] = _alarm(
            {
                "AlarmDescription": one["alarm_description"],
                "Namespace": one["namespace"],
                "MetricName": one["metric_name"],
                "Dimensions": [{"Name": k, "Value": v} for k, v in (one["dimensions"] or {}).items()],
                "Statistic": one["statistic"],
                "Period": one["period"],
                "EvaluationPeriods": one["evaluation_periods"],
                "DatapointsToAlarm": one["datapoints_to_alarm"],
                "Threshold": one["threshold"],
                "ComparisonOperator": one["comparison_operator"],
                "TreatMissingData": one["treat_missing_data"],
                "AlarmActions": one["alarm_actions"],
                "OKActions": one["ok_actions"],
                "Metrics": [_query(query) for query in one["metric_query"] or []],
            }
        )

    assert ours == theirs


def _query(one: Properties) -> Properties:
    query: Properties = {"Id": one["id"], "Expression": one["expression"], "Label": one["label"]}
    for metric in one["metric"] or []:
        dimensions = [{"Name": k, "Value": v} for k, v in metric["dimensions"].items()]
        named = {
            "Namespace": metric["namespace"],
            "MetricName": metric["metric_name"],
            "Dimensions": dimensions,
        }
        query["MetricStat"] = {"Metric": named, "Stat": metric["stat"], "Period": metric["period"]}
    return query


def _alarm(one: Properties) -> str:
    """An alarm as text, whatever the order of its parts and without what is not said."""
    said = {key: value for key, value in one.items() if key != "AlarmName" and value not in (None, "", [], 0)}
    for key in ("Metrics", "Dimensions"):
        if key in said:
            said[key] = sorted(json.dumps(_plain(each), sort_keys=True) for each in said[key])
    return json.dumps(said, sort_keys=True)


def _plain(each: Properties) -> Properties:
    plain = {key: value for key, value in each.items() if key != "ReturnData" and value not in (None, "")}
    if "MetricStat" in plain:
        metric = plain["MetricStat"]["Metric"]
        plain["MetricStat"] = plain["MetricStat"] | {
            "Metric": metric | {"Dimensions": sorted(metric["Dimensions"], key=lambda d: str(d["Name"]))}
        }
    return plain
