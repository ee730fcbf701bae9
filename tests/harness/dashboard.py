"""The dashboard in a DOM: what a test presses, types and reads in it (tests/node/dashboard.mjs)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Callable

from .peers import node_program, prepare_scripts
from .process import environment, wait_for

PATIENCE = 60.0


class Dashboard:
    """One tab. Its timers stand still until `fire`, so that it asks again only when it is told to."""

    def __init__(self, url: str, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._errors = directory / "dashboard.stderr.log"
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [node_program(), str(prepare_scripts() / "dashboard.mjs"), url],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env=environment(NODE_NO_WARNINGS="1", TZ="Asia/Kolkata"),
            )

    def do(self, command: str, **words: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"command": command, **words}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the page's process ended: {self._errors.read_text()[-2000:]}"
        answer = json.loads(line)
        assert "error" not in answer, f"{command} {words}: {answer.get('error')}"
        return answer["value"]

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    # -- what people do

    def load(self, path: str = "") -> "Dashboard":
        self.do("load", path=path)
        return self

    def log_in(self, token: str, keep: bool = False) -> None:
        self.do("type", selector="#token", text=token)
        self.do("type", selector="#keep", text=keep)
        self.do("submit", selector="#login")

    def press(self, name: str) -> None:
        self.do("press", name=name)

    def go(self, name: str) -> None:
        """To a section, by its link."""
        links = self.do("names", selector="#nav a")
        (link,) = [one for one in links if one == name or one.startswith(name + " ")]
        self.press(link)
        self.wait(lambda: self.text("#nav a[aria-current]") == link, f"the section {name}")

    # -- what they see

    def text(self, selector: str) -> str:
        return " ".join(self.do("text", selector=selector))

    def texts(self, selector: str) -> list[str]:
        return self.do("text", selector=selector)

    def wait(self, condition: Callable[[], object], what: str) -> Any:
        try:
            return wait_for(condition, PATIENCE, what)
        except TimeoutError as why:
            raise AssertionError(f"{why}; the page says: {self.text('body')[:3000]}; faults: {self.do('faults')}") from None

    def sees(self, text: str, selector: str = "body") -> None:
        self.wait(lambda: text in self.text(selector), f"{text!r} in {selector}")

    def misses(self, text: str, selector: str) -> None:
        self.wait(lambda: text not in self.text(selector), f"no {text!r} in {selector}")
