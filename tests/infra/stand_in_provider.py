"""A Terraform provider `aws` with the real one's schema and nothing behind it, for terraform to run against.

    with StandIn(schemas, region="us-west-2") as environment:      TF_REATTACH_PROVIDERS, for terraform
        subprocess.run(["terraform", "apply", …], env=environment)

What it is given it keeps as it is; what the real one would compute it makes up: ARNs as AWS forms them, ids.
Terraform checks types, names, required arguments and references as it would with the real one.
Source  Terraform plugin protocol 6, in Python by the package `tf`; values are cty in MessagePack.
"""

import json
import os
import tempfile
from concurrent import futures
from typing import Any

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

from tests.infra.provider_schema import Attribute, Block
from tests.lambda_host.template import ACCOUNT

KEY = "00000000-0000-0000-0000-000000000000"
UNKNOWN = msgpack.ExtType(0, b"\x00")
_NESTING = {"list": pb.Schema.NestedBlock.LIST, "set": pb.Schema.NestedBlock.SET}
_SINGLE = pb.Schema.NestedBlock.SINGLE
Values = dict[str, Any]


class StandIn(rpc.ProviderServicer):  # type: ignore[misc]
    """One provider, for as many runs of terraform as come while it is open."""

    def __init__(self, schemas: dict[str, Block], region: str) -> None:
        self._schemas, self._region = schemas, region

    def __enter__(self) -> dict[str, str]:
        self._directory = tempfile.TemporaryDirectory(prefix="causeway-tf-")
        socket = f"{self._directory.name}/provider.sock"
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        rpc.add_ProviderServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix://{socket}")
        self._server.start()
        attached = {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": {"Network": "unix", "String": socket},
        }
        return os.environ | {
            "TF_REATTACH_PROVIDERS": json.dumps({"hashicorp/aws": attached}),
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
        }

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()
        self._directory.cleanup()

    # --------------------------------------------------------------------------------- protocol

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        told = {name: pb.Schema(version=0, block=_block(block)) for name, block in self._schemas.items()}
        region = Attribute("string", required=False, optional=True, computed=False)
        return pb.GetProviderSchema.Response(
            provider=pb.Schema(version=0, block=_block(Block({"region": region}))),
            resource_schemas={name: one for name, one in told.items() if not name.startswith("data.")},
            data_source_schemas={
                name.removeprefix("data."): one for name, one in told.items() if name.startswith("data.")
            },
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        return pb.ConfigureProvider.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:
        values = json.loads(request.raw_state.json)
        return pb.UpgradeResourceState.Response(upgraded_state=_packed(values))

    def ReadResource(self, request: Any, context: Any) -> Any:
        return pb.ReadResource.Response(new_state=request.current_state)

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        kind = f"data.{request.type_name}"
        values = self._computed(kind, _unpacked(request.config), self._schemas[kind])
        return pb.ReadDataSource.Response(state=_packed(values))

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        values = _unpacked(request.proposed_new_state)
        if values is not None and _unpacked(request.prior_state) is None:
            _open(values, self._schemas[request.type_name])
        return pb.PlanResourceChange.Response(planned_state=_packed(values))

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:
        values = _unpacked(request.planned_state)
        if values is not None:
            values = self._computed(request.type_name, values, self._schemas[request.type_name])
        return pb.ApplyResourceChange.Response(new_state=_packed(values))

    def StopProvider(self, request: Any, context: Any) -> Any:
        return pb.StopProvider.Response()

    # ------------------------------------------------------------------------------- what is made up

    def _computed(self, kind: str, values: Values, schema: Block) -> Values:
        for name, attribute in schema.attributes.items():
            if values.get(name) == UNKNOWN or (kind.startswith("data.") and values.get(name) is None):
                values[name] = self._made(kind, name, values, attribute.type)
        for name, (_, _, inner) in schema.blocks.items():
            for one in _many(values.get(name)):
                self._computed(f"{kind}.{name}", one, inner)
        return values

    def _made(self, kind: str, name: str, values: Values, wanted: Any) -> Any:
        at, account = self._region, ACCOUNT
        named = next(
            (values[n] for n in ("name", "bucket", "function_name", "layer_name") if values.get(n)), ""
        )
        made = {
            "data.aws_caller_identity.account_id": account,
            "data.aws_partition.partition": "aws",
            "data.aws_partition.dns_suffix": "amazonaws.com",
            "aws_kms_key.arn": f"arn:aws:kms:{at}:{account}:key/{KEY}",
            "aws_kms_key.key_id": KEY,
            "aws_dynamodb_table.arn": f"arn:aws:dynamodb:{at}:{account}:table/{named}",
            "aws_sqs_queue.arn": f"arn:aws:sqs:{at}:{account}:{named}",
            "aws_sqs_queue.url": f"https://sqs.{at}.amazonaws.com/{account}/{named}",
            "aws_sqs_queue.id": f"https://sqs.{at}.amazonaws.com/{account}/{named}",
            "aws_s3_bucket.arn": f"arn:aws:s3:::{named}",
            "aws_s3_bucket.id": named,
            "aws_cloudwatch_log_group.arn": f"arn:aws:logs:{at}:{account}:log-group:{named}",
            "aws_iam_role.arn": f"arn:aws:iam::{account}:role/{named}",
            "aws_iam_role.id": named,
            "aws_sns_topic.arn": f"arn:aws:sns:{at}:{account}:{named}",
            "aws_lambda_function.arn": f"arn:aws:lambda:{at}:{account}:function:{named}",
            "aws_cloudwatch_event_rule.arn": f"arn:aws:events:{at}:{account}:rule/{named}",
        }.get(f"{kind}.{name}")
        if made is not None:
            return made
        if name == "region":
            return at
        if name.endswith("policy"):
            return ""
        if isinstance(wanted, list):
            return {} if wanted[0] == "map" else []
        return {"string": f"{kind}.{name} of {named}", "number": 0, "bool": False}.get(wanted)


def _open(values: Values, schema: Block) -> None:
    """What is computed and was not given is not known before it is made."""
    for name, attribute in schema.attributes.items():
        if attribute.computed and values.get(name) is None:
            values[name] = UNKNOWN
    for name, (_, _, inner) in schema.blocks.items():
        for one in _many(values.get(name)):
            _open(one, inner)


def _many(value: Any) -> list[Values]:
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def _packed(values: Any) -> Any:
    return pb.DynamicValue(msgpack=msgpack.packb(values))


def _unpacked(value: Any) -> Any:
    return msgpack.unpackb(value.msgpack, ext_hook=lambda _code, _data: UNKNOWN)


def _block(block: Block) -> Any:
    return pb.Schema.Block(
        version=0,
        attributes=[
            pb.Schema.Attribute(
                name=name,
                type=json.dumps(one.type).encode(),
                required=one.required,
                optional=one.optional,
                computed=one.computed,
            )
            for name, one in block.attributes.items()
        ],
        block_types=[
            pb.Schema.NestedBlock(
                type_name=name,
                block=_block(inner),
                nesting=_NESTING.get(nesting, _SINGLE),
                max_items=most,
            )
            for name, (nesting, most, inner) in block.blocks.items()
        ],
    )
