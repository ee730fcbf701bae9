"""boto3."""

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from loop import serve


def make(how):
    return boto3.client(
        "s3", region_name="eu-west-1", endpoint_url=how.get("base"),
        aws_access_key_id=how.get("id"), aws_secret_access_key=how.get("secret"),
        config=Config(retries={"mode": "standard", "total_max_attempts": 1 + how["retries"]}, s3={"addressing_style": "path"}),
    )


def put(client, a):
    return client.put_object(Bucket=a["bucket"], Key="k", Body=b"some bytes")["ETag"]


serve(make, {"make": put},
      lambda e: e.response["ResponseMetadata"]["HTTPStatusCode"] if isinstance(e, ClientError) else None)
