"""boto3, unmodified, signs with a vault key's secret; octroi verifies, judges and signs anew, and moto
does the work."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from typing import Any, Callable, Iterator

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from harness.aws_chunks import SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, ChunkedClient, crc32
from harness.reach import authority
from harness.vault import Call, Key, Reply, Vault, Vendor

from .test_run import run

REAL = "AKIAREALREALREALREAL:TheRealSecretThatNoAgentMaySee0123456789"
ENDPOINTS = ["s3.*", "dynamodb.*", "sns.Publish", "ses.SendEmail", "sts.*"]


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def cloud(moto: int) -> Iterator[Vendor]:
    """moto, behind what writes down every call."""
    vendor = Vendor()

    def ask(call: Call) -> Reply:
        import http.client

        link = http.client.HTTPConnection("127.0.0.1", moto, timeout=20)
        skip = {"host", "content-length", "connection"}
        link.request(call.method, call.target, call.body, {k: v for k, v in call.headers if k.lower() not in skip})
        answer = link.getresponse()
        body = answer.read()
        keep = tuple((k, v) for k, v in answer.getheaders() if k.lower() in ("content-type", "etag", "x-amzn-requestid"))
        return Reply(answer.status, keep, body)

    vendor.reply = ask
    yield vendor
    vendor.stop()


@pytest.fixture
def vault(make_vault: Callable[..., Vault], cloud: Vendor) -> Callable[..., tuple[Vault, Key]]:
    def make(**policy: Any) -> tuple[Vault, Key]:
        made = make_vault({"aws": (cloud, REAL, {})}, {"bot": {"vendor": "aws", "endpoints": ENDPOINTS, **policy}}).start()
        return made, made.issue("aws", "bot", "--shape", "vendor", test=False)

    return make


def client(v: Vault, key: Key, service: str, path: str = "/aws", **more: Any) -> Any:
    return boto3.client(
        service, region_name="us-east-1", endpoint_url=v.url + path,
        aws_access_key_id=key.whole["access_key_id"],
        aws_secret_access_key=more.pop("secret", key.whole["secret_access_key"]),
        config=Config(retries={"total_max_attempts": 3}, s3={"addressing_style": "path"}), **more,
    )


def code(refused: Any) -> str:
    return refused.value.response["Error"]["Code"]


@pytest.mark.parametrize("path", ["/aws", ""], ids=["path", "key"])
def test_s3(vault, cloud, path):
    v, key = vault(fields=[{"field": "bucket", "one_of": ["mine"], "endpoints": ["s3.PutObject", "s3.CreateBucket"]}])
    assert key.whole["access_key_id"].startswith("AKIA") and len(key.whole["access_key_id"]) == 20
    assert len(key.whole["secret_access_key"]) == 40
    s3 = client(v, key, "s3", path)
    s3.create_bucket(Bucket="mine")
    s3.put_object(Bucket="mine", Key="a b/ü+c.json", Body=b'{"b": 1,  "a": 2}', ContentType="application/json")
    assert s3.get_object(Bucket="mine", Key="a b/ü+c.json")["Body"].read() == b'{"b": 1,  "a": 2}'
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="mine", Prefix="a b")["Contents"]] == ["a b/ü+c.json"]
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="other", Key="k", Body=b"x")
    assert code(refused) == "AccessDenied" and "field_denied" in str(refused.value)
    assert len(cloud.calls) == 4
    for call in cloud.calls:
        (authorization,) = call.all("Authorization")
        assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIAREALREALREALREAL/")
        assert key.whole["access_key_id"] not in str(call)


def test_json_and_query_services(vault, cloud):
    v, key = vault(recipients=["*@customer.example", "arn:aws:sns:*"])
    table = client(v, key, "dynamodb")
    with pytest.raises(ClientError) as refused:
        table.get_item(TableName="none", Key={"id": {"S": "1"}})
    assert code(refused) == "ResourceNotFoundException"  # the vendor's own words
    ses = client(v, key, "ses")
    mail = {"Source": "us@example.com", "Message": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}
    with pytest.raises(ClientError) as refused:
        ses.send_email(**mail, Destination={"ToAddresses": ["a@elsewhere.example"]})
    assert code(refused) == "AccessDenied" and "recipient_denied" in str(refused.value)
    with pytest.raises(ClientError) as refused:
        ses.send_email(**mail, Destination={"ToAddresses": ["a@customer.example"]})
    assert code(refused) == "MessageRejected"  # moto knows no such sender: it was asked
    with pytest.raises(ClientError) as refused:
        client(v, key, "sns").publish(PhoneNumber="+15551234567", Message="m")
    assert code(refused) == "AccessDenied"
    assert client(v, key, "sts").get_caller_identity()["Account"]
    for service, act in (("iam", lambda c: c.create_access_key(UserName="me")), ("sts", lambda c: c.assume_role(RoleArn="arn:aws:iam::1:role/admin-role", RoleSessionName="ss"))):
        with pytest.raises(ClientError) as refused:
            act(client(v, key, service))
        assert "unknown_operation" in str(refused.value) or "operation_unknown" in str(refused.value)
    assert len(cloud.calls) == 3
    outcomes = [row["verdict"] for row in v.audit() if row["kind"] == "call.outcome"]
    assert outcomes == ["failed", "denied", "failed", "denied", "allowed", "denied", "denied"]


def test_signatures_that_are_not_the_keys(vault, cloud):
    v, key = vault()
    client(v, key, "s3").list_buckets()
    for wrong in (
        client(v, key, "s3", secret="x" * 40),
        client(v, key, "s3", aws_session_token="token"),
    ):
        with pytest.raises(ClientError) as refused:
            wrong.list_buckets()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    link = client(v, key, "s3").generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    assert v.request(link.removeprefix(v.url)).status in (401, 403)
    # The key as a bearer, where a signature is wanted.
    assert v.request("/aws/", key).status in (401, 403)
    assert len(cloud.calls) == 1


def check_plain(call: Call, body: bytes) -> None:
    """What S3 gets of a body that came in chunks: the bytes, signed by their hash, and no word of chunks."""
    assert call.body == body
    assert call.all("X-Amz-Content-Sha256") == [hashlib.sha256(body).hexdigest()]
    for gone in ("Content-Encoding", "X-Amz-Decoded-Content-Length", "X-Amz-Trailer", "Transfer-Encoding"):
        assert call.all(gone) == [], gone


def chunked(v: Vault, key: Key, **more: Any) -> ChunkedClient:
    return ChunkedClient(v.url + "/aws", key.whole["access_key_id"], key.whole["secret_access_key"], **more)


@pytest.mark.parametrize("way", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_bodies_in_chunks(vault, cloud, way):
    v, key = vault(fields=[{"field": "bucket", "one_of": ["mine"], "endpoints": ["s3.*"]}])
    client(v, key, "s3").create_bucket(Bucket="mine")
    c = chunked(v, key)
    for n, body in enumerate((b"", b"x", bytes(range(256)) * 200)):
        put = c.put(f"/mine/k{n}", body, way, content_type="text/plain", x_amz_acl="private")
        assert put.status == 200, put.text
        check_plain(cloud.calls[-1], body)
        assert cloud.calls[-1].all("X-Amz-Checksum-Crc32") == ([] if way == SIGNED else [crc32(body)])
        assert cloud.calls[-1].all("X-Amz-Acl") == ["private"]
        assert client(v, key, "s3").get_object(Bucket="mine", Key=f"k{n}")["Body"].read() == body
    refused = c.put("/other/k", b"x", way)
    assert refused.status == 403 and "<Code>AccessDenied</Code>" in refused.text and "field_denied" in refused.text
    for call in cloud.calls:
        assert call.all("Authorization")[0].startswith("AWS4-HMAC-SHA256 Credential=AKIAREALREALREALREAL/")
    assert len(cloud.calls) == 7


def test_bodies_in_chunks_that_are_not_what_was_signed(vault, cloud):
    """Refused whole, in AWS's words, and nothing is sent on."""
    v, key = vault()
    body = b"a" * 20_000
    other = ChunkedClient(v.url + "/aws", key.whole["access_key_id"], "x" * 40)
    late = chunked(v, key, at=1_400_000_000)
    c = chunked(v, key)

    def replaced(old: bytes, new: bytes, count: int = 1):
        return lambda wire: wire.replace(old, new, count)

    for status, refused in (
        (403, other.put("/b/k", body)),
        (403, late.put("/b/k", body)),
        (403, c.put("/b/k", body, change=replaced(b"aaaa", b"aaab"))),
        (403, c.put("/b/k", body, change=lambda wire: wire[:-10] + bytes([wire[-10] ^ 1]) + wire[-9:])),
        (403, c.put("/b/k", body, SIGNED_TRAILER, change=replaced(crc32(body).encode(), crc32(b"").encode()))),
        (400, c.put("/b/k", body, change=lambda wire: wire[:-2])),
        (400, c.put("/b/k", body, change=lambda wire: wire[:9000])),
        (400, c.put("/b/k", body, change=lambda wire: wire + b"0")),
        (400, c.put("/b/k", body, change=lambda wire: body)),
        (400, c.put("/b/k", body, UNSIGNED_TRAILER, change=lambda wire: b"1\r\nb\r\n" + wire)),
        (400, c.put("/b/k", body, UNSIGNED_TRAILER, change=replaced(b"x-amz-checksum-crc32:", b"x-amz-acl:"))),
        (415, c.put("/b/k", body, UNSIGNED_TRAILER, x_amz_trailer="x-amz-acl")),
        (415, c.put("/b/k", body, content_encoding="aws-chunked,gzip")),
        (415, c.put("/b/k", body, "STREAMING-AWS4-HMAC-SHA256-EVENTS")),
    ):
        assert refused.status == status, (status, refused.status, refused.text)
        code = "InvalidClientTokenId" if status == 403 else "ValidationError"
        assert f"<Code>{code}</Code>" in refused.text and refused.get("X-Amzn-ErrorType") == code
    assert not cloud.calls
    # The limit is that of the body as it comes.
    refused = c.put("/b/k", b"a" * (1 << 20))
    assert refused.status == 413 and "vault.max_body" in refused.text and not cloud.calls


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_boto3_over_tls_sends_chunks_and_a_checksum_behind_them(make_vault, cloud, algorithm):
    """Unmodified, by the proxy: what is a trailer to octroi is a field to S3."""
    v = make_vault({"aws": (cloud, REAL, {"hosts": ["s3.amazonaws.com"]})},
                   {"bot": {"vendor": "aws", "endpoints": ENDPOINTS}}, max_body="8 MiB").start()
    key = v.issue("aws", "bot", "--shape", "vendor", test=False)
    s3 = boto3.client(
        "s3", region_name="us-east-1", verify=str(authority(v)),
        aws_access_key_id=key.whole["access_key_id"], aws_secret_access_key=key.whole["secret_access_key"],
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, proxies={"https": v.url}),
    )
    ways = []
    s3.meta.events.register("before-send.s3.*", lambda request, **_: ways.append(request.headers.get("X-Amz-Content-SHA256")))
    s3.create_bucket(Bucket="tls")
    for n, body in enumerate((b"", b"some bytes", b"long" * 500_000)):
        s3.put_object(Bucket="tls", Key=f"k{n}", Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
        assert ways[-1].decode() == UNSIGNED_TRAILER
        check_plain(cloud.calls[-1], body)
        assert len(cloud.calls[-1].all(f"X-Amz-Checksum-{algorithm}")) == 1
        assert s3.get_object(Bucket="tls", Key=f"k{n}")["Body"].read() == body
    made = s3.create_multipart_upload(Bucket="tls", Key="parts", ChecksumAlgorithm=algorithm)["UploadId"]
    part = s3.upload_part(Bucket="tls", Key="parts", UploadId=made, PartNumber=1, Body=b"part", ChecksumAlgorithm=algorithm)
    check_plain(cloud.calls[-1], b"part")
    done = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="tls", Key="parts", UploadId=made, MultipartUpload=done)
    assert s3.get_object(Bucket="tls", Key="parts")["Body"].read() == b"part"


UNDER_RUN = """
import boto3, json, os
from botocore.config import Config
s3 = boto3.client("s3", region_name="us-east-1", config=Config(s3={"addressing_style": "path"}))
s3.create_bucket(Bucket="run")
print(s3.put_object(Bucket="run", Key="k", Body=b"bytes")["ResponseMetadata"]["HTTPStatusCode"])
print(json.dumps({k: v for k, v in os.environ.items() if k.startswith("AWS_")}))
"""


def test_octroi_run(vault, cloud, tmp_path):
    """A vendor without `hosts` is all of AWS that the program sees; it finds the pair, and nothing of
    what was there before."""
    v, key = vault()
    issued = tmp_path / "issued.json"
    issued.write_text(json.dumps(key.whole))
    issued.chmod(0o600)
    for given in (key.text, f"@{issued}"):
        done = run(v, None, sys.executable, "-c", UNDER_RUN, flags=("--vault", given), AWS_PROFILE="mine", AWS_SESSION_TOKEN="old")
        assert done.returncode == 0, done.stderr
        status, told = done.stdout.splitlines()
        env = json.loads(told)
        assert status == "200" and not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & env.keys()
        assert f"{env['AWS_ACCESS_KEY_ID']}:{env['AWS_SECRET_ACCESS_KEY']}" == key.text
        assert env["AWS_ENDPOINT_URL"] == v.url + "/aws"
    assert len(cloud.calls) == 4


def test_octroi_run_wants_the_pair(vault, cloud):
    v, key = vault()
    name = key.text.split(":")[0]
    plain = v.issue("aws", "bot", "--shape", "vault", test=False)
    for given in (f"{name}:{'x' * 40}", name, plain.text):
        refused = run(v, None, "true", flags=("--vault", given))
        assert refused.returncode != 0 and given not in refused.stderr, refused.stderr
    assert "AKIA" in refused.stderr
    v.revoke(key)
    refused = run(v, None, "true", flags=("--vault", key.text))
    assert refused.returncode == 7 and "revoked" in refused.stderr and key.text not in refused.stderr
    assert not cloud.calls


def test_revoked(vault, cloud):
    v, key = vault()
    s3 = client(v, key, "s3")
    s3.list_buckets()
    v.revoke(key)
    with pytest.raises(ClientError) as refused:
        s3.list_buckets()
    assert code(refused) == "InvalidClientTokenId" and "revoked" in str(refused.value)
    assert len(cloud.calls) == 1
