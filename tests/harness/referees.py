"""Upstreams whose HTTP/1.1 parsers are strict and not ours. Each answers a request with its target and
tells what it saw; whatever it could not accept is a fault."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

import h11

from . import peers
from .process import TEST_ENV, Program, free_port, wait_for


@dataclass(frozen=True)
class Seen:
    id: str
    method: str
    target: str
    body: int  # its length
    broken: bool = False  # it never came whole


@dataclass
class Report:
    seen: list[Seen] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class H11:
    """PyPI's h11."""

    def __init__(self) -> None:
        self._report = Report()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        engine = h11.Connection(h11.SERVER)
        with sock:
            try:
                while self._one(sock, engine):
                    engine.start_next_cycle()
            except h11.RemoteProtocolError as fault:
                self._report.faults.append(str(fault))
            except OSError:
                pass

    def _one(self, sock: socket.socket, engine: h11.Connection) -> bool:
        request, size = None, 0
        while True:
            event = engine.next_event()
            if event is h11.NEED_DATA:
                if engine.they_are_waiting_for_100_continue:
                    sock.sendall(engine.send(h11.InformationalResponse(status_code=100, headers=[])))
                got = sock.recv(65536)
                if not got and request:  # cut within its body, as it shall be when the client's was malformed
                    self._tell(request, size, True)
                    return False
                engine.receive_data(got)
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                size += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return False
        assert request
        self._tell(request, size, False)
        answer = bytes(request.target)
        data = engine.send(h11.Response(status_code=200, headers=[("Content-Length", str(len(answer)))])) or b""
        data += engine.send(h11.Data(data=answer)) or b""
        sock.sendall(data + (engine.send(h11.EndOfMessage()) or b""))
        return engine.our_state is h11.DONE and engine.their_state is h11.DONE

    def _tell(self, request: h11.Request, size: int, broken: bool) -> None:
        fields = {name: value.decode("latin-1") for name, value in request.headers}
        self._report.seen.append(
            Seen(fields.get(b"x-request-id", ""), request.method.decode(), request.target.decode("latin-1"), size, broken)
        )

    def report(self) -> Report:
        return self._report

    def stop(self) -> None:
        self._listener.close()


class Told:
    """A program that tells what it saw, one JSON object a line, beginning with its port."""

    def __init__(self, name: str, argv: list[str | Path], workdir: Path):
        self._program = Program(name, argv, workdir)
        self.port = int(wait_for(lambda: self._lines()[0]["port"], 20, f"the port of {name}"))  # type: ignore[arg-type]

    def _lines(self) -> list[dict]:
        self._program.must_run()
        text = self._program.stdout_path.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def report(self) -> Report:
        report = Report()
        for one in self._lines()[1:]:
            if "fault" in one:
                report.faults.append(f"{one['fault']}: {one.get('reason')}")
            else:
                report.seen.append(Seen(one["id"], one["method"], one["target"], one["body"], one["broken"]))
        return report

    def stop(self) -> None:
        self._program.stop()


class Nginx:
    """Debian's nginx. Its log tells what a request was once it is over; a request that it refuses has
    a status of 400."""

    CONFIG = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format told escape=json '{{"id":"$http_x_request_id","method":"$request_method","target":"$request_uri",'
    '"status":$status,"request":"$request","body":"$content_length"}}';
  access_log {dir}/access.log told;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi; merge_slashes off; keepalive_timeout 60s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 $request_uri; }} }}
}}
"""

    def __init__(self, workdir: Path) -> None:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if program is None:
            raise RuntimeError("nginx is missing; run script/bootstrap --tests")
        self.port = free_port()
        folder = workdir / "nginx"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "nginx.conf").write_text(self.CONFIG.format(dir=folder, port=self.port))
        self._log = folder / "access.log"
        self._program = Program("nginx", [program, "-c", folder / "nginx.conf", "-e", folder / "error.log"], folder)
        wait_for(lambda: socket.create_connection(("127.0.0.1", self.port), 1), 10, "nginx").close()  # type: ignore[attr-defined]

    def report(self) -> Report:
        report = Report()
        for line in self._log.read_text().splitlines() if self._log.exists() else []:
            one = json.loads(line)
            if one["status"] == 400:
                report.faults.append(one["request"])
            elif one["id"] or one["method"]:
                report.seen.append(Seen(one["id"], one["method"], one["target"], int(one["body"] or 0)))
        return report

    def stop(self) -> None:
        self._program.stop()


KINDS = ["h11", "node", "go", "nginx"]


def make(kind: str, workdir: Path) -> H11 | Told | Nginx:
    if kind == "h11":
        return H11()
    if kind == "node":
        return Told("node", [peers.node_program(), peers.SCRIPTS / "referee.mjs"], workdir)
    if kind == "go":
        program = TEST_ENV / "bin" / "referee"
        if not program.exists():
            raise RuntimeError("the referee in Go is missing; run script/bootstrap --tests")
        return Told("go", [program], workdir)
    return Nginx(workdir)
