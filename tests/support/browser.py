# SPDX-License-Identifier: BSD-3-Clause
"""Chromium without a screen, driven through its DevTools protocol over a pipe, with the standard library alone.

    with Browser() as b:
        b.open("page.html")
        b.value("document.title")

b.problems has what the page wrote to the console as a warning or error, exceptions, and requests for anything but the page itself.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)


class Browser:
    def __init__(self, timeout=90):
        self.timeout, self.number, self.problems, self.events = timeout, 0, [], []
        self.profile = tempfile.mkdtemp(prefix="numarena-browser-")
        to_browser, self.write = os.pipe()
        self.read, from_browser = os.pipe()

        def descriptors():  # the browser reads from 3 and writes to 4
            a, b = os.dup(to_browser), os.dup(from_browser)
            os.dup2(a, 3)
            os.dup2(b, 4)

        command = [CHROMIUM, "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--hide-scrollbars",
                   "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--no-default-browser-check",
                   "--disable-dev-shm-usage", "--user-data-dir=" + self.profile, "about:blank"]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        env["HOME"] = self.profile
        env.pop("XDG_CACHE_HOME", None)
        self.process = subprocess.Popen(command, preexec_fn=descriptors, pass_fds=(3, 4), stdin=subprocess.DEVNULL, env=env,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer = b""
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def __enter__(self):
        return self

    def __exit__(self, *what):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired, AssertionError):
            self.process.kill()
            self.process.wait()
        os.close(self.read)
        os.close(self.write)
        for _ in range(20):  # its helpers may still be writing
            shutil.rmtree(self.profile, ignore_errors=True)
            if not os.path.exists(self.profile):
                break
            time.sleep(0.1)

    def message(self, until):
        while b"\0" not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.read], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            part = os.read(self.read, 1 << 20)
            if not part:
                raise AssertionError("the browser ended")
            self.buffer += part
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def note(self, message):
        method, p = message.get("method"), message.get("params", {})
        self.events.append(method)
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(p["exceptionDetails"].get("exception", p["exceptionDetails"]).get("description", p)))
        elif method == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.problems.append(str(p["args"]))
        elif method == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.problems.append(p["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not p["request"]["url"].startswith(("file://" + self.path, "data:")):
            self.problems.append("asks for " + p["request"]["url"])

    path = "nothing yet"

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write, data):]
        until = time.monotonic() + self.timeout
        while True:
            answer = self.message(until)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.note(answer)

    def open(self, path, width=1280, height=900, dark=False, scale=1):
        """Loads a file and waits until its script has run to its end; seconds that it took, by the browser's own clock."""
        self.path = os.path.abspath(path)
        self.size(width, height, scale)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url="file://" + self.path)
        until = time.monotonic() + self.timeout
        while not self.value("document.readyState === 'complete' && location.href !== 'about:blank'"):
            if time.monotonic() > until:
                raise AssertionError(f"{path} does not load; {self.problems}")
            time.sleep(0.05)
        self.frame()  # charts are drawn when the browser has measured their width: in the frame after the script
        return self.value("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")

    def frame(self):
        """Waits for a frame: by then what the page does on events of before is done."""
        self.value("new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(1))))")

    def size(self, width, height=900, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)

    def settle(self):
        """Two frames: what was asked for is drawn."""
        self.value("new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))")

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression}: {result['exceptionDetails'].get('exception', {}).get('description')}")
        return result["result"].get("value")

    def key(self, name):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode={"Tab": 9, "Enter": 13, " ": 32}.get(name, 0),
                      text="\r" if name == "Enter" and kind == "keyDown" else "")

    def picture(self, path, whole=True):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole, format="png",
                         **({"clip": {"x": 0, "y": 0, "width": self.value("document.documentElement.clientWidth"),
                                      "height": min(16000, self.value("document.documentElement.scrollHeight")), "scale": 1}} if whole else {}))
        with open(path, "wb") as f:
            f.write(base64.b64decode(shot["data"]))
