"""stripe-python."""

import os

import stripe
from loop import serve


def make(how):
    more = {"base_addresses": {"api": how["base"]}} if "base" in how else {}
    return stripe.StripeClient(how.get("key") or os.environ["STRIPE_API_KEY"], max_network_retries=how["retries"], **more)


serve(make, {
    "make": lambda c, fields: c.v1.charges.create(fields).id,
    "read": lambda c, _: c.v1.customers.list().object,
}, lambda e: getattr(e, "http_status", None))
