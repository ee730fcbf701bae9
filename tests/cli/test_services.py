"""`octroi service list | show | add | set | remove`: services of the store, over a running server and
on the store itself, and `/api/v1/services` below them."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import web
from harness.process import environment, wait_for
from harness.settings import service


class Services:
    def __init__(self, binary, server):
        self.binary = binary
        self.server = server

    def run(self, *words: str, status: int = 0, stdin: str | None = None):
        done = subprocess.run(
            [str(self.binary), "--config", str(self.server.config_file), "--json", *words],
            capture_output=True, text=True, env=environment(), timeout=60, input=stdin,
        )
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if status == 0 else done.stderr + done.stdout

    def __call__(self, *words: str, **more):
        return self.run("service", *words, **more)

    def api(self, path: str = "", method: str = "GET", body=None, **headers: str):
        return web.request(
            f"{self.server.admin_url}/api/v1/services{path}", method,
            {"Authorization": f"Bearer {self.server.admin_token}", "Content-Type": "application/json",
             **{name.replace("_", "-"): value for name, value in headers.items()}},
            None if body is None else json.dumps(body),
        )


@pytest.fixture
def services(gateway, upstream, octroi_binary) -> Services:
    return Services(octroi_binary, gateway([service("file", "^/file/", upstream.url, "1 sat")]))


def keys(upstream, path: str = "^/new/", price: str = "3 sat", **more):
    return {"upstream": upstream.url, "match": {"path": path}, "price": price, "schemes": ["l402", "payment"], **more}


def names(listed) -> list[str]:
    return [row["name"] for row in listed["services"]]


def test_a_service_is_added_while_octroi_serves_and_is_the_same_after_a_restart(services, upstream, payer):
    server = services.server
    assert server.request("/new/x").status == 404
    added = services("add", "new", f"upstream={upstream.url}", "match.path=^/new/", "price=3 sat",
                     "schemes=[l402, payment]", "description=Grüße", "rewrite.strip=/new")
    assert (added["source"], added["state"], added["auth_scheme"], added["version"]) == ("store", "served", "l402+payment", 1)
    for restarted in (False, True):
        if restarted:
            server.restart()
        path = f"/new/{restarted}"
        credential = server.buy(path, payer)
        answer = server.request(path, headers={"Authorization": credential})
        assert answer.status == 200
        assert upstream.of_path(f"/{restarted}"), "its other keys count, too"
        shown = services("show", "new")
        assert shown["service"] == added["service"] and shown["version"] == 1
    rows = services.run("transaction", "list", "--service", "new", "--state", "settled")["transactions"]
    assert [row["amount_msat"] for row in rows] == [3_000, 3_000]
    assert names(services("list")) == ["file", "new"]


def test_the_amount_that_is_asked_follows_a_change_at_once(services, upstream, payer):
    server = services.server
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    for price in ("5 sat", "7 sat"):
        services("set", "new", f"price={price}")
        offer = server.unpaid("/new/x").payment
        before = payer.balance_msat()
        payer.pay(offer.invoice)
        assert before - payer.balance_msat() == int(price.split()[0]) * 1_000


def test_what_was_sold_under_the_old_price_is_still_good(services, upstream, payer):
    server = services.server
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    credential, token = server.buy("/new/x", payer), server.buy_token("/new/y", payer)
    services("set", "new", "price=9 sat")
    assert server.request("/new/x", headers={"Authorization": credential}).status == 200
    assert server.request("/new/y", headers={"Authorization": token}).status == 200


def test_a_removed_service_is_404_before_402(services, upstream, payer):
    server = services.server
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    token = server.buy_token("/new/x", payer)
    assert services("remove", "new")["name"] == "new"
    assert server.request("/new/x").status == 404
    assert server.request("/new/x", headers={"Authorization": token}).status == 404
    assert "no service" in services("remove", "new", status=1)
    assert "no service" in services("show", "new", status=1)
    # Its money stays in the books.
    def booked() -> bool:
        totals = services.run("transaction", "totals", "--service", "new")
        return (totals["sales"], totals["amount_msat"]) == (1, 3_000)

    wait_for(booked, 10, "the node's word that it was paid")


def test_a_disabled_service_is_kept_and_not_served(services, upstream):
    server = services.server
    services("add", "new", "--file", "-", "--enabled", "off", stdin=json.dumps(keys(upstream)))
    assert server.request("/new/x").status == 404
    assert services("show", "new")["state"] == "disabled"
    services("set", "new", "--enabled", "on")
    assert server.request("/new/x").status == 402
    services("set", "new", "--enabled", "off")
    assert server.request("/new/x").status == 404


def test_without_a_server_the_store_is_changed_and_the_next_one_serves_it(services, upstream):
    server = services.server
    server.stop()
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    services("set", "new", "price=8 sat", "--if-version", "1")
    assert "somebody else changed" in services("set", "new", "price=1 sat", "--if-version", "1", status=1)
    assert "price" in services("set", "new", "price=8", status=1)
    assert names(services("list")) == ["file", "new"]
    server.start()
    assert server.request("/new/x").status == 402
    assert services("show", "new")["service"]["price"] == "8 sat"
    server.stop()
    services("remove", "new")
    server.start()
    assert server.request("/new/x").status == 404


def test_the_file_wins_a_name_and_says_so(services, upstream):
    server = services.server
    assert services("show", "file")["source"] == "file"
    assert "configuration file" in services("add", "file", "--file", "-", status=1, stdin=json.dumps(keys(upstream)))
    assert "configuration file" in services("set", "file", "price=1 sat", status=1)
    assert "configuration file" in services("remove", "file", status=1)
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    server.config["paywall"]["services"].append(service("new", "^/other/", upstream.url, "2 sat"))
    server.restart()
    assert server.request("/other/x").status == 402 and server.request("/new/x").status == 404
    stored = next(row for row in services("list")["services"] if row["name"] == "new" and row["source"] == "store")
    assert stored["state"] == "shadowed"


@pytest.mark.parametrize("change, field", [
    ({"price": "3"}, "price"),
    ({"upstrem": "http://127.0.0.1:1"}, "upstrem"),
    ({"prices": [{"price": "1 sat"}, {"path": "(", "price": "1 sat"}]}, "prices[1].path"),
    ({"headers": {"Authorization": "Bearer hunter2"}}, "headers.Authorization"),
    ({"headers": {"X-Key": "file:///etc/passwd"}}, "headers.X-Key"),
    ({"match": {"path": "^/file/below/"}}, "match"),
    ({"match": {"path": "^/file/"}}, "match"),
    ({"session": {"price": "1500 msat"}}, "session.price"),
])
def test_what_is_wrong_is_told_by_its_field_and_nothing_changes(services, upstream, change, field):
    refused = services.api("", "POST", {"service": {"name": "new", **keys(upstream), **change}})
    assert refused.status == 422, refused.text
    assert field in [one["field"] for one in refused.json()["errors"]]
    assert all(one["fix"] for one in refused.json()["errors"])
    assert "hunter2" not in refused.text
    assert names(services("list")) == ["file"]
    assert services.server.request("/new/x").status == 404


def test_a_reference_that_is_allowed_is_resolved_and_stays_a_reference(services, upstream):
    server = services.server
    secret = server.directory / "upstream.key"
    secret.write_text("value-of-the-upstream-key")
    server._leaks.register("value-of-the-upstream-key", "upstream key")
    server._leaks.exempt(secret)
    server.config["paywall"]["store_references"] = [f"file://{server.directory}/upstream."]
    server.restart()
    more = {"headers": {"X-Up": f"file://{secret}"}, "free_paths": ["^/new/free"]}
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream, **more)))
    assert server.request("/new/free").status == 200
    assert upstream.of_path("/new/free")[0].all("X-Up") == ["value-of-the-upstream-key"]
    assert services("show", "new")["service"]["headers"]["X-Up"] == f"file://{secret}"


def test_of_two_who_edit_at_once_one_wins(services, upstream):
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    seen = services.api("/new")
    tag = seen.get("ETag")
    assert tag == '"1"'

    def edit(number: int) -> int:
        return services.api("/new", "PUT", {"service": keys(upstream, price=f"{number + 10} sat")}, If_Match=tag).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(edit, range(8)))
    assert sorted(statuses) == [200] + [412] * 7
    assert services.api("/new").get("ETag") == '"2"'
    assert services.api("/new", "PUT", {"service": keys(upstream)}).status == 428
    assert services.api("/new", "PUT", {"service": keys(upstream)}, If_Match="2").status == 400
    assert services.api("/new", "DELETE", If_Match=tag).status == 412
    assert services.api("/new", "PUT", {"service": keys(upstream)}, If_Match="*").status == 200
    assert services.api("/other", "PUT", {"service": keys(upstream)}, If_Match="*").status == 404
    assert services.api("/other", "PUT", {"service": keys(upstream, "^/other/")}, If_None_Match="*").status == 201

    def create(number: int) -> int:
        body = {"service": {"name": "once", **keys(upstream, "^/once/", f"{number + 1} sat")}}
        return services.api("", "POST", body).status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [201] + [409] * 7


def test_an_answer_that_was_edited_is_a_body(services, upstream):
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    shown = services.api("/new")
    body = shown.json()
    body["service"]["price"] = "4 sat"
    put = services.api("/new", "PUT", body, If_Match=shown.get("ETag"))
    assert put.status == 200 and put.json()["version"] == 2
    same = services.api("/new", "PUT", put.json(), If_Match=put.get("ETag"))
    assert same.status == 200 and same.json()["version"] == 2, "what changes nothing is no change"
    assert services.api("", "POST", {"service": {"name": "x"}, "enable": True}).status == 400
    assert services.api("", "POST", {"price": "1 sat"}).status == 400


def test_the_admin_api_needs_the_token(services):
    url = services.server.admin_url + "/api/v1/services"
    for method, path in (("GET", ""), ("POST", ""), ("GET", "/file"), ("PUT", "/file"), ("DELETE", "/file")):
        assert web.request(url + path, method).status == 401, (method, path)


def test_a_change_leaves_a_line_in_the_log(services, upstream):
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    services("set", "new", "price=4 sat")
    services("remove", "new")
    log = services.server.directory / "octroi.log"

    def events() -> list[str]:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return [line["event"] for line in lines if line.get("service") == "new" and line["event"].startswith("service ")]

    wait_for(lambda: events() == ["service added", "service replaced", "service removed"], 5, "three lines")


def test_a_server_without_services_of_its_own_serves_those_of_the_store(gateway, upstream, octroi_binary):
    server = gateway([])
    services = Services(octroi_binary, server)
    assert server.request("/new/x").status == 404
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    assert server.request("/new/x").status == 402
    server.restart()
    assert server.request("/new/x").status == 402


def test_a_store_that_does_not_fit_the_file_any_more_stops_the_start_and_says_why(services, upstream):
    server = services.server
    services("add", "new", "--file", "-", stdin=json.dumps(keys(upstream)))
    server.config["paywall"]["services"].append(service("all", "^/", upstream.url, "2 sat"))
    server.stop()
    with pytest.raises(RuntimeError):
        server.start()
    output = server.program.output()
    assert "never reached" in output and "service new in the store" in output
    services("remove", "new")
    server.start()
    assert server.request("/new/x").status == 402
