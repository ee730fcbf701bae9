"""A PostgreSQL server of the tests' own, on a socket in a folder of its own, and pgbouncer before
it. They refuse to run as root, so they run as `postgres` or `nobody` then."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from .process import environment, free_port, wait_for


def program(name: str) -> str:
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else name


class Postgres:
    def __init__(self) -> None:
        # Short, because a socket's path has 107 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="octroi-pg-"))
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            user = next(u for u in pwd.getpwall() if u.pw_name in ("postgres", "nobody"))
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        self._count = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._bouncer: subprocess.Popen[bytes] | None = None
        self.bouncer_port = 0
        data = str(self.directory / "data")
        made = self._start([program("initdb"), "-D", data, "-U", "octroi", "-A", "trust", "-E", "UTF8",
                            "--locale=C.UTF-8", "--no-sync"])
        if made.wait(120) != 0:
            raise RuntimeError("initdb failed: " + self.log())
        self.start()

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                                    env=environment(), start_new_session=True, **self._as)  # type: ignore[call-overload]

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-4000:]

    def start(self) -> None:
        self._server = self._start([
            program("postgres"), "-D", str(self.directory / "data"), "-k", str(self.directory),
            "-c", "listen_addresses=", "-c", "max_connections=100", "-c", "shared_buffers=32MB",
            "-c", "recovery_init_sync_method=syncfs"])
        wait_for(lambda: self.sql("SELECT 1") == "1", 60, "PostgreSQL")

    def stop(self, how: int = signal.SIGINT) -> None:
        if self._server and self._server.poll() is None:
            self._server.send_signal(how)
            self._server.wait(60)

    def restart(self) -> None:
        self.stop()
        self.start()

    def sql(self, text: str, database: str = "postgres") -> str:
        done = subprocess.run(
            [program("psql"), "-h", str(self.directory), "-U", "octroi", "-d", database, "-AtqX", "-v", "ON_ERROR_STOP=1"],
            input=text, capture_output=True, text=True, env=environment(), timeout=60)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def database(self) -> str:
        """The URL of a new one."""
        self._count += 1
        name = f"t{self._count}"
        self.sql(f"CREATE DATABASE {name}")
        return f"postgresql://octroi@/{name}?host={self.directory}"

    def dump(self, url: str) -> str:
        """The schema of the database behind a URL, without what varies with the server."""
        done = subprocess.run([program("pg_dump"), "--schema-only", "--no-owner", "-d", url], capture_output=True,
                              text=True, env=environment(), timeout=60, check=True)
        lines = (line for line in done.stdout.splitlines() if not line.startswith(("--", "SET ", "\\")))
        return "\n".join(line for line in lines if line)

    def through_pgbouncer(self, url: str, mode: str = "transaction") -> str:
        """The same database behind a pooler, started with the first call."""
        if self._bouncer is None:
            self.bouncer_port = free_port()
            settings = self.directory / "pgbouncer.ini"
            (self.directory / "users.txt").write_text('"octroi" ""\n')
            settings.write_text(
                f"[databases]\n* = host={self.directory}\n[pgbouncer]\nlisten_addr=127.0.0.1\n"
                f"listen_port={self.bouncer_port}\nunix_socket_dir=\nauth_type=trust\n"
                f"auth_file={self.directory}/users.txt\npool_mode={mode}\ndefault_pool_size=3\n")
            self._bouncer = self._start(["/usr/sbin/pgbouncer", str(settings)])
        name = url.split("/")[3].split("?")[0]
        through = f"postgresql://octroi@127.0.0.1:{self.bouncer_port}/{name}"
        wait_for(lambda: subprocess.run([program("psql"), through, "-AtqXc", "SELECT 1"], capture_output=True,
                                        env=environment(), timeout=10).returncode == 0, 20, "pgbouncer")
        return through

    def close(self) -> None:
        if self._bouncer:
            self._bouncer.kill()
            self._bouncer.wait(10)
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)
