"""A PostgreSQL of three nodes that fails over by itself: patroni with etcd, synchronous replication (a
commit is acknowledged when a second node has it). Everything listens on loopback, runs as an
unprivileged user in a folder of its own, and ends with close()."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import yaml

from . import web
from .postgres import program
from .process import environment, free_port, wait_for

# Patroni's: when a leader that says nothing any more is replaced. The product's default is 30 s.
TTL = 8


def missing() -> str | None:
    for name in ("patroni", "etcd"):
        if not shutil.which(name, path="/usr/bin:/usr/local/bin"):
            return f"{name} is not installed; run script/bootstrap --peers"
    return None


class Node:
    def __init__(self, cluster: "Cluster", name: str):
        self.name = name
        self.port = free_port()
        self.api_port = free_port()
        self.home = cluster.directory / name
        self.home.mkdir()
        self._cluster = cluster
        self._patroni: subprocess.Popen[bytes] | None = None
        self._config = self.home / "patroni.yaml"
        self._config.write_text(yaml.safe_dump(self._settings()))
        cluster.give(self.home, self._config)

    @property
    def data(self) -> Path:
        return self.home / "data"

    def _settings(self) -> dict:
        everybody = ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust", "local all all trust"]
        return {
            "scope": "octroi",
            "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.api_port}", "connect_address": f"127.0.0.1:{self.api_port}"},
            "etcd3": {"host": f"127.0.0.1:{self._cluster.etcd_port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL, "loop_wait": 1, "retry_timeout": 3, "maximum_lag_on_failover": 1 << 20,
                    "synchronous_mode": True, "synchronous_mode_strict": True,
                    "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": {
                        "max_connections": 60, "shared_buffers": "32MB", "wal_log_hints": "on", "max_wal_senders": 6}},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "no-sync"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(self.data),
                "bin_dir": str(Path(program("postgres")).parent),
                "pgpass": str(self.home / "pgpass"),
                "authentication": {name: {"username": "octroi", "password": "none"} for name in ("superuser", "replication", "rewind")},
                "pg_hba": everybody,
                "basebackup": [{"checkpoint": "fast"}, "no-sync"],
                "parameters": {"unix_socket_directories": str(self.home)},
                "create_replica_methods": ["basebackup"],
            },
        }

    def start(self) -> None:
        self._patroni = self._cluster.run(["/usr/bin/patroni", str(self._config)], self.home)

    def is_leader(self) -> bool:
        with contextlib.suppress(OSError):
            return web.request(f"http://127.0.0.1:{self.api_port}/primary", timeout=2).status == 200
        return False

    def is_sync(self) -> bool:
        with contextlib.suppress(OSError):
            return web.request(f"http://127.0.0.1:{self.api_port}/sync", timeout=2).status == 200
        return False

    def _postgres(self) -> list[int]:
        """The server of this folder and its children."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            if str(self.data).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
                return []
        except (OSError, ValueError, IndexError):
            return []
        found = [pid]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(stat.parent.name))
        return found

    def signal(self, number: int) -> None:
        """To the server and to what looks after it."""
        if self._patroni and self._patroni.poll() is None:
            self._patroni.send_signal(number)
        for pid in self._postgres():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """As if its machine had lost its power."""
        self.signal(signal.SIGKILL)
        if self._patroni:
            self._patroni.wait(10)


class Cluster:
    def __init__(self) -> None:
        # In memory where that is possible: what a machine loses with its power is another test's matter.
        memory = Path("/dev/shm")
        roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30
        self.directory = Path(tempfile.mkdtemp(prefix="octroi-cluster-", dir=memory if roomy else None))
        self._as: dict[str, object] = {}
        self._user: pwd.struct_passwd | None = None
        if os.geteuid() == 0:
            self._user = next(u for u in pwd.getpwall() if u.pw_name in ("postgres", "nobody"))
            self._as = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        self.give(self.directory)
        self.etcd_port = free_port()
        self._etcd: subprocess.Popen[bytes] | None = None
        self.nodes: list[Node] = []
        try:
            self._start_etcd()
            self.nodes = [Node(self, name) for name in ("one", "two", "three")]
            for node in self.nodes:
                node.start()
            self.wait_until_whole()
        except BaseException as why:
            text = self.logs()
            self.close()
            raise RuntimeError(f"the cluster does not start: {why}\n{text}") from why

    def give(self, *paths: Path) -> None:
        for path in paths:
            if self._user:
                os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def run(self, words: list[str], home: Path) -> subprocess.Popen[bytes]:
        with (home / "log").open("ab") as log:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home,
                                    env=environment(HOME=str(home), PYTHONDONTWRITEBYTECODE="1"),
                                    start_new_session=True, **self._as)  # type: ignore[call-overload]

    def _start_etcd(self) -> None:
        home = self.directory / "etcd"
        home.mkdir()
        self.give(home)
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{free_port()}"
        # Its disk is that of everybody's tests: it may be slow without anything being wrong.
        self._etcd = self.run(
            ["/usr/bin/etcd", "--data-dir", str(home / "data"), "--listen-client-urls", client, "--advertise-client-urls", client,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
             "--heartbeat-interval", "200", "--election-timeout", "2000", "--unsafe-no-fsync"], home)
        wait_for(lambda: web.request(client + "/health", timeout=2).json()["health"] == "true", 30, "etcd")

    def logs(self) -> str:
        return "\n".join(f"--- {log.parent.name}\n{log.read_text(errors='replace')[-3000:]}" for log in self.directory.glob("*/log"))

    def leader(self) -> Node | None:
        return next((node for node in self.nodes if node.is_leader()), None)

    def wait_for_leader(self, seconds: float = 60, other_than: Node | None = None) -> Node:
        def found() -> Node | None:
            node = self.leader()
            return node if node is not other_than else None

        return wait_for(found, seconds, "a leader", 0.2)  # type: ignore[return-value]

    def wait_until_whole(self, nodes: int = 3, seconds: float = 90) -> None:
        """A leader, with so many nodes in all, and a synchronous standby."""
        def whole() -> bool:
            leader = self.leader()
            assert leader, "no leader"
            members = web.request(f"http://127.0.0.1:{leader.api_port}/cluster", timeout=5).json()["members"]
            running = [one for one in members if one.get("state") in ("running", "streaming")]
            return len(running) >= nodes and any(node.is_sync() for node in self.nodes)

        wait_for(whole, seconds, "the cluster", 0.3)

    def switch_over(self) -> None:
        """The leader steps down for its synchronous standby, as for maintenance."""
        old = self.wait_for_leader()
        body = '{"leader": "%s"}' % old.name
        answer = web.request(f"http://127.0.0.1:{old.api_port}/switchover", "POST", {"Content-Type": "application/json"},
                             body, timeout=60)
        assert answer.status in (200, 202), answer.text
        self.wait_for_leader(other_than=old)

    def database(self, name: str) -> str:
        """The URL of a new one, once every node has it: libpq takes no other host when one does not know it."""
        self.sql(f"CREATE DATABASE {name}")
        for node in self.nodes:
            url = f"postgresql://octroi@127.0.0.1:{node.port}/{name}"
            wait_for(lambda: self.sql("SELECT 1", url) == "1", 20, f"the database on {node.name}")
        return self.url(name)

    def sql(self, text: str, url: str | None = None) -> str:
        done = subprocess.run([program("psql"), url or self.url("postgres"), "-AtqX", "-v", "ON_ERROR_STOP=1"], input=text,
                              capture_output=True, text=True, env=environment(), timeout=60)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def url(self, database: str) -> str:
        """All three nodes; whoever may write is taken."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://octroi@{hosts}/{database}?sslmode=disable&target_session_attrs=read-write"

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
        if self._etcd:
            self._etcd.kill()
            self._etcd.wait(10)
        # A backend may outlive its server for a moment and write once more.
        for _ in range(20):
            shutil.rmtree(self.directory, ignore_errors=True)
            if not self.directory.exists():
                return
            time.sleep(0.1)
