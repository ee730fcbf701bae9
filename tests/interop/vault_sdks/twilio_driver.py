"""twilio-python."""

import twilio.rest
from loop import serve


def make(how):
    client = twilio.rest.Client(how.get("sid"), how.get("token"))  # None: what the environment says
    if "base" in how:
        client.api.base_url = how["base"]
    return client


serve(make, {"make": lambda c, a: c.messages.create(to=a["to"], from_="+15550001111", body=a["body"]).sid},
      lambda e: getattr(e, "status", None))
