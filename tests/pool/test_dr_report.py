"""The page of a DR test: complete, escaped, and as a real browser shows it."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pool.browser import PROGRAM, Browser
from pool.reports import CLONE, FAILED, HOSTILE, PASSED, UP
from relun.cli.exits import Exit
from relun.cli.pool.dr_html import page
from relun.cli.pool.dr_words import seconds, verdict
from relun.cli.pool.test_dr import exit_of, report_lines, report_object

VOID = {"meta", "link", "br"}
# Of every element with text of its own: its contrast with what is behind it (WCAG 2, 1.4.3).
CONTRASTS = """
(() => {
  const light = rgb => { const [r, g, b] = rgb.map(v => { v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const behind = element => { for (let e = element; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
    return [255, 255, 255]; };
  return [...document.body.querySelectorAll('*')].filter(e =>
      [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e => {
    const a = light(rgb(getComputedStyle(e).color).slice(0, 3));
    const b = light(behind(e).slice(0, 3));
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); });
})()
"""
OVERFLOWING = """
[...document.querySelectorAll('body *')].filter(e => {
  const r = e.getBoundingClientRect(); return r.width > 1 && r.right > innerWidth + 0.5;
}).map(e => e.outerHTML.slice(0, 80))
"""


class _Tags(HTMLParser):
    """Holds a page to being well-formed, and gathers its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(text: str) -> _Tags:
    tags = _Tags()
    tags.feed(text)
    tags.close()
    assert tags.open == []
    return tags


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not shutil.which(PROGRAM):
        pytest.skip(f"{PROGRAM} is not installed (scripts/debian-packages.txt)")
    with Browser() as found:
        yield found


def test_a_name_of_a_vm_stays_text() -> None:
    tags = parsed(page(FAILED))
    assert "script" not in tags.tags
    assert not [name for name, _value in tags.attributes if name.startswith("on")]
    shown = "".join(tags.texts)
    assert shown.count('<script>alert("1")</script>&amp;\'\\x1b[31m') >= 8
    assert "\x1b" not in page(FAILED)


def test_the_page_needs_nothing_else() -> None:
    for report in (PASSED, FAILED):
        text = page(report)
        leading = [
            value
            for name, value in parsed(text).attributes
            if name in ("href", "src", "srcset", "action", "data", "poster")
        ]
        assert leading == ["data:,"]
        assert "url(" not in text
        assert "@import" not in text


def test_the_page_says_all_of_it() -> None:
    shown = "".join(parsed(page(PASSED)).texts)
    for wanted in (
        PASSED.title,
        "Passed, everything came up",
        "42.9 s",  # the recovery time
        "2 min 11 s",
        "2026-11-24 03:00:00 UTC",
        "https://pool.example.org",
        CLONE.target,
        CLONE.scsi_id,
        CLONE.old_sr,
        CLONE.new_sr,
        UP.uuid,
        UP.address,
        "Nothing is left of the test.",
        "8.4.0",
        "the new VM lacks what cannot be copied from files: VTPM",
        *(step.step for step in PASSED.steps),
    ):
        assert wanted in shown
    failed = "".join(parsed(page(FAILED)).texts)
    for wanted in ("1 of 2 VMs came up", "something is left behind", "not reached", "Left behind"):
        assert wanted in failed


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 1 s"), (3723, "1 h 2 min 3 s")],
)
def test_times_are_for_people(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


def test_what_is_left_behind_counts_more_than_what_did_not_come_up() -> None:
    assert exit_of(PASSED) == Exit.DONE
    assert exit_of(FAILED) == Exit.INTERRUPTED
    assert exit_of(FAILED._replace(standing=())) == Exit.DIFFERENT
    assert exit_of(PASSED._replace(standing=("SR x",))) == Exit.INTERRUPTED
    assert verdict(PASSED._replace(standing=("SR x",))).endswith("something is left behind")
    assert PASSED.recovery_seconds == UP.up_after
    assert FAILED.recovery_seconds is None


def test_text_and_json_say_the_same() -> None:
    text = "\n".join("".join(part for part, _style in line) for line in report_lines(FAILED))
    assert "\x1b" not in text
    for wanted in ("failed, 1 of 2 VMs", "Left behind:", "did not come up", "up after 42.9 s"):
        assert wanted in text
    found = report_object(FAILED)
    assert (found["exit"], found["passed"], found["clean"]) == (3, False, False)
    assert found["vms"][1]["error"]["code"] == "pool-not-up"
    assert found["vms"][0]["up_after"] == UP.up_after
    assert found["clones"][1]["error"]["code"] == "pool-vm-missing"
    assert found["standing"] == [f"SR {HOSTILE}"]


@pytest.mark.parametrize("report", [PASSED, FAILED], ids=["passed", "failed"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_it(
    browser: Browser, tmp_path: Path, width: int, dark: bool, report: object
) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(report), encoding="utf-8")  # type: ignore[arg-type]
    browser.size(width, dark=dark)
    browser.open(file)
    assert browser.complaints() == []
    assert [url for url in browser.requests() if url != file.as_uri()] == []
    assert browser.run("innerWidth") == width
    assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0
    assert browser.run(OVERFLOWING) == []
    contrasts = browser.run(CONTRASTS)
    assert len(contrasts) > 50
    assert min(contrasts) >= 4.5


def test_a_browser_runs_no_script_of_it(browser: Browser, tmp_path: Path) -> None:
    """Even a mistake in escaping would do nothing: the page's own policy forbids it."""
    file = tmp_path / "report.html"
    sabotaged = page(PASSED).replace("<h1>", "<h1><script>document.title = 'bad'</script>")
    file.write_text(sabotaged, encoding="utf-8")
    browser.size(1280)
    browser.open(file)
    assert browser.run("document.title") != "bad"
    assert browser.complaints() != []


@pytest.mark.parametrize("width", [360, 1280])
def test_a_screen_reader_is_told(browser: Browser, tmp_path: Path, width: int) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(PASSED), encoding="utf-8")
    browser.size(width)
    browser.open(file)
    assert browser.run("document.documentElement.lang") == "en"
    assert browser.run("document.title") == f"{PASSED.title}: passed, everything came up"
    tree = browser.tree()
    roles = [node["role"] for node in tree]
    for landmark in ("banner", "main", "contentinfo"):
        assert roles.count(landmark) == 1
    regions = [node["name"] for node in tree if node["role"] == "region"]
    headings = [node["name"] for node in tree if node["role"] == "heading"]
    assert headings == [PASSED.title, *regions]
    tables = [node["name"] for node in tree if node["role"] == "table"]
    assert len(tables) == 4
    assert all(tables)
    columns = [node["name"] for node in tree if node["role"] == "columnheader"]
    assert {"VM", "Result", "Up after", "SCSI id", "Took"} <= set(columns)
    rows = [node["name"] for node in tree if node["role"] == "rowheader"]
    assert any(name.startswith("files") for name in rows)
    assert not [node for node in tree if re.search("[✔✘]", node["name"]) and node["role"] == "cell"]
