"""A site's master key as AWS KMS keeps it: only its ciphertext leaves KMS and this process.

    KmsKey(send, key, site).generate()   a new master key, and its ciphertext to be kept
    KmsKey(send, key, site).open(sealed) the master key
    KmsKey(send, key, site).rewrap(sealed, old)   its ciphertext under this key instead of `old`

Bound   to the encryption context {"causeway:site": site}: another site's does not open here
send    (body, headers) → (status, body) of one signed POST; see `signed_post`. botocore's own client of KMS
        costs a cold start 7 ms, this 0.6 ms, and of KMS we need three verbs
Tries   3; every verb can be repeated
Errors  KmsProblem, a sentence for the operator that says what to grant or change
Source  KMS API reference: GenerateDataKey, Decrypt, ReEncrypt, "Common Errors"; IAM "Signature Version 4".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

KEY_BYTES = 32
CONTEXT = "causeway:site"
TRIES_MAX = 3
WAIT_MS = 100
_TRIED_AGAIN = frozenset(
    {"ThrottlingException", "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException"}
)

Send = Callable[[bytes, Mapping[str, str]], tuple[int, bytes]]


class KmsProblem(Exception):
    """KMS did not do it; the message says why and what to do."""


class KmsKey:
    """One KMS key, as one site uses it."""

    def __init__(self, send: Send, key: str, site: str, sleep_ms: Callable[[int], None]) -> None:
        self._send = send
        self._key = key
        self._site = site
        self._sleep_ms = sleep_ms

    def generate(self) -> tuple[bytes, bytes, str]:
        """(a new master key, its ciphertext, the ARN of the KMS key it was made under)."""
        told = self._ask("GenerateDataKey", {"KeySpec": "AES_256", **self._here()})
        return _key(told), base64.b64decode(told["CiphertextBlob"]), str(told["KeyId"])

    def open(self, sealed: bytes) -> bytes:
        """The master key whose ciphertext is `sealed`."""
        question = {"CiphertextBlob": base64.b64encode(sealed).decode(), **self._here()}
        return _key(self._ask("Decrypt", question))

    def rewrap(self, sealed: bytes, old: str) -> tuple[bytes, str]:
        """(the ciphertext under this key, its ARN); the master key itself does not leave KMS."""
        question = {
            "CiphertextBlob": base64.b64encode(sealed).decode(),
            "SourceKeyId": old,
            "SourceEncryptionContext": {CONTEXT: self._site},
            "DestinationKeyId": self._key,
            "DestinationEncryptionContext": {CONTEXT: self._site},
        }
        told = self._ask("ReEncrypt", question)
        return base64.b64decode(told["CiphertextBlob"]), str(told["KeyId"])

    def _here(self) -> dict[str, Any]:
        return {"KeyId": self._key, "EncryptionContext": {CONTEXT: self._site}}

    def _ask(self, verb: str, question: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{verb}"}
        body = json.dumps(question).encode()
        problem = ""
        for n in range(TRIES_MAX):
            if n:
                self._sleep_ms(WAIT_MS << n)
            try:
                status, answer = self._send(body, headers)
            except OSError as error:
                problem = f"KMS cannot be reached: {error}"
                continue
            told = _fields(answer)
            if status == 200:
                return told
            code = str(told.get("__type", "")).rpartition("#")[2]
            problem = self._said(verb, code, str(told.get("message") or told.get("Message") or status))
            if status < 500 and code not in _TRIED_AGAIN:
                break
        raise KmsProblem(problem)

    def _said(self, verb: str, code: str, message: str) -> str:
        advice = {
            "AccessDeniedException": f"grant kms:{verb} on it to whoever runs this, with the condition "
            f"kms:EncryptionContext:{CONTEXT} = {self._site}",
            "NotFoundException": "there is no such key in this region: see CAUSEWAY_KMS_KEY and "
            "CAUSEWAY_BLOCKS_REGION",
            "DisabledException": "the key is disabled: enable it",
            "KMSInvalidStateException": "the key is disabled or about to be deleted: enable it, or cancel "
            "its deletion",
            "InvalidCiphertextException": f"the master key that is kept was not made for site {self._site} "
            "by this key, or was changed",
            "IncorrectKeyException": "the master key that is kept was made by another KMS key: name that "
            "one, or have it re-wrapped: causeway stores rewrap",
            "UnrecognizedClientException": "the credentials are not valid",
            "InvalidSignatureException": "the credentials are not valid",
            "ExpiredTokenException": "the credentials have expired",
        }.get(code, "see the AWS KMS documentation")
        return f"{verb} with KMS key {self._key}: {advice} ({code}: {message})"


def _key(told: Mapping[str, Any]) -> bytes:
    try:
        key = base64.b64decode(told["Plaintext"], validate=True)
    except (KeyError, TypeError, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise KmsProblem(f"KMS answered without a key of {KEY_BYTES} bytes")
    return key


def _fields(answer: bytes) -> dict[str, Any]:
    try:
        told = json.loads(answer)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def signed_post(credentials: Any, region: str, endpoint: str) -> Send:
    """POSTs to KMS at `endpoint` ("": AWS itself), signed by botocore's `credentials`."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError
    from botocore.httpsession import URLLib3Session

    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = f"{endpoint or f'https://kms.{region}.{suffix}'}/"
    http = URLLib3Session(timeout=(3, 10))

    def send(body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        request = AWSRequest("POST", url, data=body, headers=dict(headers))
        try:
            SigV4Auth(credentials.get_frozen_credentials(), "kms", region).add_auth(request)
            answer = http.send(request.prepare())
        except BotoCoreError as error:
            raise ConnectionError(str(error)) from error
        return answer.status_code, answer.content

    return send
