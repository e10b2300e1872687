# SPDX-License-Identifier: MIT
"""Debian's Chromium without a window, driven through chromedriver (W3C WebDriver)."""
import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from tap import Skip, check

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Browser:
    """with Browser() as b: b.open(path)"""

    def __init__(self, width=1280, height=900, dark=False):
        self.size = width, height
        self.dark = dark

    def __enter__(self):
        driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
        if not driver or not chromium:
            raise Skip("no browser (tools/setup-debian.sh browser)")
        self.profile = tempfile.TemporaryDirectory(prefix="stele-browser-")
        # Said on its standard output: the port that it has found free.
        self.driver = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True)
        line = ""
        while "started successfully on port" not in line:
            line = self.driver.stdout.readline()
            check(line, "chromedriver does not start")
        self.base = f"http://127.0.0.1:{int(line.split('port')[1].strip(' .' + chr(10)))}/session"
        dark = ["--force-dark-mode"] if self.dark else []
        options = {"binary": chromium, "args": [
            *ARGUMENTS, *dark, f"--user-data-dir={self.profile.name}",
            f"--window-size={self.size[0]},{self.size[1]}"]}
        self.session = ""
        self.session = "/" + self.call("POST", "", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
            "unhandledPromptBehavior": "ignore"}}})["sessionId"]
        return self

    def __exit__(self, *_):
        try:
            self.call("DELETE", "")
        except OSError:
            pass
        self.driver.terminate()
        self.driver.wait()
        time.sleep(0.2)  # its children let go of the profile
        self.profile.cleanup()

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.base + self.session + path, method=method,
            data=json.dumps(body or {}).encode() if method == "POST" else None,
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:500]}") from None

    def open(self, path):
        self.call("POST", "/url", {"url": f"file://{path}"})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, css):
        return self.call("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        self.call("POST", f"/element/{self.find(css)}/click")

    def keys(self, text):
        """To what has the focus."""
        actions = [a for key in text for a in ({"type": "keyDown", "value": key},
                                               {"type": "keyUp", "value": key})]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys",
                                                    "actions": actions}]})

    def answer_prompt(self, text):
        self.call("POST", "/alert/text", {"text": text})
        self.call("POST", "/alert/accept")

    def complaints(self):
        """Of the page: errors and warnings on its console."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]
