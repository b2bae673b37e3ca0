"""The site's master key where KMS keeps it: made once, its ciphertext in a row of the site's tables.

    site table  "site" / "master_key"   {kms_key, sealed}: the key it was made under, its ciphertext

Two that make it at once: the row is written by compare-and-set, and who loses takes the winner's.
Errors  SettingsError, worded for the operator
Source  DESIGN §5 "Users and buckets"; adapters/kms.py.
"""

from __future__ import annotations

from typing import Any

from chalicelib.adapters.kms import KmsKey, KmsProblem, signed_post
from chalicelib.adapters.system import SystemClock
from chalicelib.bootstrap import aws
from chalicelib.domain import codec
from chalicelib.domain.errors import Conflict, Indeterminate, StoreError
from chalicelib.ports.metadata import ABSENT, Metadata, Put, RowId, Table
from chalicelib.settings import Settings, SettingsError

ROW = RowId(Table.SITE, "site", b"master_key")
NOT_SET_UP = (
    "this site is not set up yet: it has no master key. Invoke its administrator function once, or start "
    "`causeway serve`, by whoever may call kms:GenerateDataKey"
)
HAS_ITS_OWN = (
    "CAUSEWAY_KMS_KEY: this site was set up without it, under a master key of its own, or lost the row that "
    "kept it; a new one would open none of its secrets. Give it CAUSEWAY_MASTER_KEY or "
    "CAUSEWAY_MASTER_KEY_FILE as before"
)
NOTHING_KEPT = "KMS keeps no master key of this site: there is nothing to put under another key"
IN_KMS = "AWS KMS keeps the master key of this site, under {key}: set CAUSEWAY_KMS_KEY, and no other"


def still_given(given: bytes, form: bytes | None) -> bytes:
    """The key that was given, unless row `form` says that KMS keeps it."""
    if form is not None:
        raise SettingsError([IN_KMS.format(key=codec.decode_document(form)["kms_key"])])
    return given


def may_be_made(form: bytes | None, record: bytes | None) -> bool:
    """Only before the site is set up: the key comes first, then the record."""
    if form is None and record is not None:
        raise SettingsError([HAS_ITS_OWN])
    return form is None


def kms_key(settings: Settings, credentials: Any) -> KmsKey:
    """The KMS key of a site."""
    send = signed_post(credentials, settings.blocks_region, settings.kms_endpoint)
    return KmsKey(send, settings.kms_key, settings.site, SystemClock().sleep_ms)


def rewrap_master_key(settings: Settings) -> tuple[str, str]:
    """Have KMS put the kept master key under CAUSEWAY_KMS_KEY; the ARNs of the key before and now."""
    places, session = aws.own_places(settings), aws.aws_session()
    metadata = aws.metadata_over(aws.dynamodb_client(places, session), places)
    try:
        form = metadata.get([ROW])[0]
        if form is None:
            raise SettingsError([NOTHING_KEPT])
        kept = codec.decode_document(form)
        key = kms_key(settings, session.get_credentials())
        sealed, arn = key.rewrap(kept["sealed"], kept["kms_key"])
        metadata.transact([Put(ROW, codec.encode_document({"kms_key": arn, "sealed": sealed}), form)])
    except KmsProblem as problem:
        raise SettingsError([f"CAUSEWAY_KMS_KEY: {problem}"]) from problem
    except StoreError as problem:
        raise SettingsError([f"DynamoDB: {problem}"]) from problem
    return kept["kms_key"], arn


def opened(form: bytes | None, key: KmsKey, metadata: Metadata, founds: bool) -> bytes:
    """The master key that row `form` keeps; made now if there is none and this process `founds` the site."""
    try:
        if form is None:
            if not founds:
                raise SettingsError([NOT_SET_UP])
            plain, sealed, arn = key.generate()
            made = codec.encode_document({"kms_key": arn, "sealed": sealed})
            try:
                metadata.transact([Put(ROW, made, ABSENT)])
                return plain
            except (Conflict, Indeterminate):  # another start was first, or it is not known whether we were
                form = metadata.get([ROW])[0]
                if form is None:
                    raise
        return key.open(codec.decode_document(form)["sealed"])
    except KmsProblem as problem:
        under = codec.decode_document(form)["kms_key"] if form is not None else ""
        told = f"CAUSEWAY_KMS_KEY: {problem}"
        raise SettingsError([f"{told}; it was made under {under}" if under else told]) from problem
