"""XML: bombs are refused at once, answers are always well-formed and round-trip."""

from __future__ import annotations

import time
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.s3 import errors, operations, views, xml_write
from chalicelib.s3.checksums import Algorithm
from chalicelib.s3.names import decode_token
from chalicelib.s3.xml_read import (
    KeyToDelete,
    PartToComplete,
    read_complete,
    read_delete,
    read_location,
)

NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
READERS = {
    "CreateBucketConfiguration": read_location,
    "Delete": read_delete,
    "CompleteMultipartUpload": read_complete,
}
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


def bombs(tag):
    return {
        "dtd": f"<!DOCTYPE {tag}><{tag}/>",
        "laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><{tag}>&l9;</{tag}>',
        "quadratic": f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]><{tag}>{"&a;" * 5000}</{tag}>',
        "external": f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><{tag}>&e;</{tag}>',
        "parameter": f'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://x/">%p;]><{tag}/>',
        "undeclared": f"<{tag}>&nbsp;</{tag}>",
        "xinclude": f'<{tag} xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="x"/></{tag}>',
        "nesting": f"<{tag}>" + "<a>" * 200_000 + "</a>" * 200_000 + f"</{tag}>",
        "elements": f"<{tag}>" + "<a/>" * 600_000 + f"</{tag}>",
        "size": f"<{tag}>" + "a" * 5_000_000 + f"</{tag}>",
        "utf-16": f'<?xml version="1.0" encoding="utf-16"?><{tag}/>'.encode("utf-16"),
        "utf-7": f'<?xml version="1.0" encoding="utf-7"?><{tag}>+ADw-</{tag}',
        "latin-1": f'<?xml version="1.0" encoding="latin-1"?><{tag}>\xff</{tag}>'.encode("latin-1"),
        "namespace": f'<{tag} xmlns="http://example.com/"/>',
        "other root": "<Other/>",
        "cut": f"<{tag}><a",
        "text": "not xml",
        "two roots": f"<{tag}/><{tag}/>",
        "unknown element": f"<{tag}><Surprise/></{tag}>",
    }


@pytest.mark.parametrize("name", bombs(""))
@pytest.mark.parametrize("tag", READERS)
def test_c8_bombs(tag, name):
    """MalformedXML, and fast."""
    body = bombs(tag)[name]
    started = time.process_time()

    with pytest.raises(errors.MalformedXML):
        READERS[tag](body.encode() if isinstance(body, str) else body)

    assert time.process_time() - started < 1


class TestRead:
    def test_location(self):
        inner = "<LocationConstraint>eu-west-1</LocationConstraint>"
        tag = "CreateBucketConfiguration"

        assert read_location(b"") == ""
        assert read_location(f"<{tag}/>".encode()) == ""
        assert read_location(f"<{tag} {XMLNS}>{inner}</{tag}>".encode()) == "eu-west-1"
        with pytest.raises(errors.MalformedXML):
            read_location(f"<{tag}>{inner}{inner}</{tag}>".encode())

    def test_delete(self):
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Delete {XMLNS}>\n<Quiet>true</Quiet>'
            "<Object><Key>a &amp; ü&#10;</Key></Object>"
            "<Object><Key> sp </Key><VersionId>null</VersionId><ETag>&quot;e&quot;</ETag></Object>"
            "</Delete>"
        )

        request = read_delete(body.encode())

        assert request.quiet
        assert request.keys == (KeyToDelete("a & ü\n"), KeyToDelete(" sp ", "null", "e"))

    @pytest.mark.parametrize(
        "inner",
        [
            "",
            "<Quiet>true</Quiet>",
            "<Object/>",
            "<Object><Key/></Object>",
            "<Object><Key>a</Key><Key>b</Key></Object>",
            "<Object><Key><b/></Key></Object>",
            "<Quiet>maybe</Quiet><Object><Key>a</Key></Object>",
            "<Object><Key>a</Key></Object>" * 1001,
        ],
    )
    def test_b3_delete_refused(self, inner):
        with pytest.raises(errors.MalformedXML):
            read_delete(f"<Delete>{inner}</Delete>".encode())

    def test_delete_long_key(self):
        with pytest.raises(errors.KeyTooLongError):
            read_delete(f"<Delete><Object><Key>{'ü' * 513}</Key></Object></Delete>".encode())

    def test_complete(self):
        body = (
            f"<CompleteMultipartUpload {XMLNS}><Part><PartNumber>2</PartNumber><ETag>e</ETag>"
            "<ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part><Part><ETag>&quot;f&quot;</ETag>"
            "<PartNumber> 1 </PartNumber></Part></CompleteMultipartUpload>"
        )

        parts = read_complete(body.encode()).parts

        assert parts == (
            PartToComplete(2, "e", (Algorithm.CRC32, b"\0\0\0\0")),
            PartToComplete(1, "f"),
        )

    @pytest.mark.parametrize(
        ("part", "error"),
        [
            ("<PartNumber>0</PartNumber><ETag>e</ETag>", errors.InvalidArgument),
            ("<PartNumber>10001</PartNumber><ETag>e</ETag>", errors.InvalidArgument),
            ("<PartNumber>+1</PartNumber><ETag>e</ETag>", errors.MalformedXML),
            ("<PartNumber>\u0661</PartNumber><ETag>e</ETag>", errors.MalformedXML),
            ("<PartNumber>1</PartNumber>", errors.MalformedXML),
            ("<ETag>e</ETag>", errors.MalformedXML),
            (
                "<PartNumber>1</PartNumber><ETag>e</ETag><ChecksumSHA1>x</ChecksumSHA1>",
                errors.InvalidRequest,
            ),
        ],
    )
    def test_e5_complete_refused(self, part, error):
        body = f"<CompleteMultipartUpload><Part>{part}</Part></CompleteMultipartUpload>"

        with pytest.raises(error):
            read_complete(body.encode())

    def test_empty_body(self):
        for reader in (read_delete, read_complete):
            with pytest.raises(errors.MissingRequestBodyError):
                reader(b"")

    def test_largest_complete(self):
        part = (
            "<Part>\n<PartNumber>{}</PartNumber>\n<ETag>{}</ETag>\n"
            "<ChecksumSHA256>{}=</ChecksumSHA256>\n</Part>\n"
        )
        body = "".join([part.format(n, "e" * 34, "A" * 43) for n in range(1, 10_001)])

        request = read_complete(f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode())

        assert len(request.parts) == 10_000


OWNER = views.Owner("id", "näme <&>")
# What XML 1.0 can carry; the rest is only right with encoding-type=url.
CARRIED = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"], include_characters="\t\n\r\x85", exclude_characters="\ufffe\uffff"
    ),
    min_size=1,
    max_size=30,
)
ANY_KEY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def v2(url=False, **fields):
    values = {"prefix": "", "delimiter": "", "max_keys": 10, "start_after": "", "token": ""}
    values.update(fields)
    return operations.ListObjectsV2("bucket", encoding_url=url, token_key="", fetch_owner=True, **values)


def entry(key):
    return views.ListedObject(key, 1_445_412_480_123, "e" * 32, 5, OWNER, Algorithm.CRC32)


class TestWrite:
    @given(CARRIED)
    def test_c9_keys_round_trip(self, key):
        xml = xml_write.list_objects_v2(v2(prefix=key), views.ObjectPage([entry(key)], [key]))

        root = ElementTree.fromstring(xml)

        assert root.findtext(f"{NS}Contents/{NS}Key") == key
        assert root.findtext(f"{NS}CommonPrefixes/{NS}Prefix") == key

    @given(ANY_KEY)
    def test_c9_any_key_round_trips_url_encoded(self, key):
        xml = xml_write.list_objects_v2(v2(True), views.ObjectPage([entry(key)], [key]))

        assert unquote(ElementTree.fromstring(xml).findtext(f"{NS}Contents/{NS}Key")) == key

    @given(ANY_KEY)
    def test_c9_every_answer_is_well_formed(self, key):
        failed = views.FailedKey(key, "AccessDenied", key)
        for xml in (
            xml_write.delete_result([key], [failed]),
            xml_write.initiated_upload("bucket", key, "id"),
            xml_write.completed_upload(key, "bucket", key, "etag-1"),
            xml_write.error(errors.NoSuchKey(Key=key), resource=key, request_id="r"),
        ):
            ElementTree.fromstring(xml)

    def test_list_v2(self):
        page = views.ObjectPage([entry("a")], ["p/"], next_key="p/")

        root = ElementTree.fromstring(xml_write.list_objects_v2(v2(delimiter="/"), page))

        assert root.findtext(f"{NS}KeyCount") == "2"
        assert root.findtext(f"{NS}IsTruncated") == "true"
        assert decode_token(root.findtext(f"{NS}NextContinuationToken")) == "p/"
        contents = root.find(f"{NS}Contents")
        assert [child.tag.removeprefix(NS) for child in contents] == [
            "Key",
            "LastModified",
            "ETag",
            "Size",
            "ChecksumAlgorithm",
            "Owner",
            "StorageClass",
        ]
        assert contents.findtext(f"{NS}LastModified") == "2015-10-21T07:28:00.123Z"
        assert contents.findtext(f"{NS}ETag") == f'"{"e" * 32}"'

    def test_list_v1_gives_next_marker_with_a_delimiter(self):
        page = views.ObjectPage([entry("a")], [], next_key="a")
        for delimiter, expected in (("/", "a"), ("", None)):
            operation = operations.ListObjects("bucket", "", delimiter, 10, False, "")
            root = ElementTree.fromstring(xml_write.list_objects(operation, page))
            assert root.findtext(f"{NS}NextMarker") == expected

    def test_the_rest_parses(self):
        checksum = views.Checksum(Algorithm.CRC32, "AAAAAA==")
        parts = operations.ListParts("bucket", "k", "id", 10, 0, False)
        uploads = operations.ListMultipartUploads("bucket", "", "/", 10, True, "", "")
        part = views.ListedPart(1, 0, "e", 5, checksum)
        upload = views.ListedUpload("k", "id", 0, OWNER, Algorithm.SHA1)
        for xml, tag in (
            (xml_write.list_buckets(OWNER, [views.ListedBucket("b", 0)]), "ListAllMyBucketsResult"),
            (xml_write.location(""), "LocationConstraint"),
            (xml_write.copy_result("e", 0, checksum), "CopyObjectResult"),
            (xml_write.copy_result("e", 0, part=True), "CopyPartResult"),
            (xml_write.list_parts(parts, views.PartPage([part], OWNER)), "ListPartsResult"),
            (
                xml_write.list_uploads(uploads, views.UploadPage([upload], ["p/"])),
                "ListMultipartUploadsResult",
            ),
            (xml_write.access_control(OWNER), "AccessControlPolicy"),
        ):
            assert ElementTree.fromstring(xml).tag == NS + tag

    def test_error(self):
        failure = errors.NoSuchKey(Key="a<b")

        root = ElementTree.fromstring(xml_write.error(failure, resource="/b/a<b", request_id="R1"))

        assert {child.tag: child.text for child in root} == {
            "Code": "NoSuchKey",
            "Message": "The specified key does not exist.",
            "Key": "a<b",
            "Resource": "/b/a<b",
            "RequestId": "R1",
            "HostId": None,
        }
