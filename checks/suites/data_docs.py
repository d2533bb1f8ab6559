"""Data Docs that need no network: Great Expectations' pages, stripped, with an index of our own.

Its pages load some 15 files from other hosts, two pictures and a tracking pixel, and show pass
and fail by an icon font. Here every script, outside address and handler is cut, the little CSS
that is needed stands in the page, and a policy forbids the browser to ask for anything.

Source: great_expectations #994, #8734: its pages need the network by design.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from checks.core.errors import ContractError
from checks.suites.suite_file import SUITE_NAME, write_atomically

HISTORY_FILE, HISTORY_MAX = "history.json", 100
STAMP = re.compile(r"^\d{8}T\d{6}\.\d{6}Z$")
CUT = frozenset(
    {"script", "iframe", "object", "noscript", "footer", "form", "svg", "video", "audio"}
)
CUT_VOID = frozenset({"link", "base", "img", "input", "embed", "source"})
LOADS = frozenset(
    {"src", "srcset", "href", "xlink:href", "action", "formaction", "data", "poster",
     "background", "ping", "integrity", "crossorigin"}
)  # fmt: skip
OUTSIDE = re.compile(r"url\([^)]*\)|@import[^;]*;?", re.IGNORECASE)
ADDRESS = re.compile(r"\b(https?|ftp|wss?):/(?=/)", re.IGNORECASE)
SPELLED = r"\1&#58;&#47;"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:1rem}
body{color:#1b1f24;background:#fff}
h4,h5,h6{margin:.2rem 0}a{color:#0b5cad}
table{border-collapse:collapse;margin:.4rem 0}
td,th{border:1px solid #cfd6dd;padding:.3rem .6rem;text-align:left;vertical-align:top}
code{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.85em}
.alert{background:#eef2f6;padding:.4rem .7rem;border-radius:4px;margin-top:1rem}
.badge{background:#e4e9ee;border-radius:3px;padding:0 .3rem}.breadcrumb{list-style:none;padding:0}
nav{height:auto!important}.mr-auto>nav{display:flex;gap:1rem;flex-wrap:wrap}
#section-1-content-block-1-subheader .fas{display:none}
.gate{border-left:.4rem solid;padding:.2rem .8rem}.gate li{color:#1b1f24}
.card:has(.btn-group-toggle){display:none}.collapse{display:none}.collapse:target{display:block}
.passed,.fa-check-circle{color:#176b2c}.failed,.fa-times,.text-danger{color:#a8201a}
.fa-exclamation-triangle,.fault{color:#8a5a00}
.fas{font-style:normal;font-weight:600}
.fa-check-circle::before{content:"passed"}.fa-times::before{content:"failed"}
.fa-exclamation-triangle::before{content:"could not be judged"}
.fa-question-circle::before{content:"?"}
.navbar-brand a::before{content:"All validations"}
@media(max-width:700px){table{display:block;overflow-x:auto}}
"""


def make_offline(page: str, links: Mapping[str, str], banner: str = "") -> str:
    """Return `page` without scripts, handlers and outside addresses, styled inline.

    Args:
        page: HTML of one page of Data Docs.
        links: what each local address becomes; other links lose their address, not their text.
            Links within the page stay.
        banner: HTML of our own, first in the body.

    >>> make_offline('<head></head><a href="//cdn.io">x</a><script>1</script>', {})[-14:]
    '<span>x</span>'
    """
    rewriter = _Rewriter(links, banner)
    rewriter.feed(page)
    rewriter.close()
    return "".join(rewriter.parts)


class _Rewriter(HTMLParser):
    def __init__(self, links: Mapping[str, str], banner: str) -> None:
        super().__init__(convert_charrefs=False)
        self.links, self.banner, self.parts = links, banner, list[str]()
        self.cut = 0
        self.in_style = False
        self.anchors: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.cut += tag in CUT
        pragma = tag == "meta" and any(name == "http-equiv" for name, _ in attrs)
        if self.cut or tag in CUT_VOID or pragma:
            return
        if tag == "a":
            target = self._follow(dict(attrs).get("href") or "")
            self.anchors.append(target is not None)
            kept = [] if target is None else [("href", target)]
            self.parts.append(_open("span" if target is None else "a", kept))
            return
        self.in_style = tag == "style"
        self.parts.append(_open(tag, [one for one in attrs if _is_inert(*one)]))
        if tag == "head":
            self.parts.append(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">')
            self.parts.append(f"<style>{STYLE}</style>")
        if tag == "body":
            self.parts.append(self.banner)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in CUT:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in CUT:
            self.cut = max(0, self.cut - 1)
        elif not self.cut and tag not in CUT_VOID:
            self.in_style = False
            linked = self.anchors.pop() if tag == "a" and self.anchors else True
            self.parts.append(f"</{tag}>" if linked else "</span>")

    def handle_data(self, data: str) -> None:
        if not self.cut:
            text = OUTSIDE.sub("none", data) if self.in_style else data
            self.parts.append(ADDRESS.sub(SPELLED, text))

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")

    def handle_decl(self, decl: str) -> None:
        self.parts.append(f"<!{decl}>")

    def _follow(self, target: str) -> str | None:
        return target if target.startswith("#") else self.links.get(target)


def _is_inert(name: str, value: str | None) -> bool:
    return not (
        name.startswith("on")
        or name in LOADS
        or OUTSIDE.search(value or "")
        or ADDRESS.search(value or "")
    )


def _open(tag: str, attrs: Sequence[tuple[str, str | None]]) -> str:
    told = "".join(f" {name}" if v is None else f' {name}="{escape(v)}"' for name, v in attrs)
    return f"<{tag}{told}>"


def publish_docs(
    site: Path, docs: Path, summary: Mapping[str, Any], *, history: Path | None = None
) -> Path:
    """Copy the newest validation of `site` into `docs`, made offline; return the index page.

    Args:
        site: the site that Great Expectations built for one validation.
        docs: the folder of the run's Data Docs; earlier validations in it stay listed.
        summary: run, passed, rules, failures, warnings, engine_errors.
        history: the Data Docs of an earlier run, whose validations are carried over.

    The newest `HISTORY_MAX` validations are kept. The index is written last.

    Raises:
        ContractError: `site` holds no validation.
    """
    pages = sorted(site.glob(f"validations/{SUITE_NAME}/*/*/*.html"))
    if not pages:
        raise ContractError(str(site), "Great Expectations wrote no page of its validation")
    page = pages[-1]
    stamp = page.parent.name
    if not STAMP.match(stamp):
        raise ContractError(str(page), "a run time of another form", got=stamp)
    entries = _carry(history, docs) | {stamp: dict(summary)}
    suite = site / "expectations" / f"{SUITE_NAME}.html"
    up = "../../../../"
    links = {
        f"{up}index.html": "../index.html",
        f"{up}expectations/{SUITE_NAME}.html": f"../expectations/{stamp}.html",
        "../index.html": "../index.html",
    }
    for source, folder in ((suite, "expectations"), (page, "validations")):
        text = make_offline(source.read_text(encoding="utf-8"), links, _announce(summary))
        write_atomically(docs / folder / f"{stamp}.html", text)
    kept = dict(sorted(entries.items())[-HISTORY_MAX:])
    write_atomically(docs / HISTORY_FILE, json.dumps(kept, indent=2, sort_keys=True) + "\n")
    write_atomically(docs / "index.html", _list_validations(kept))
    for old in sorted(entries.keys() - kept.keys()):
        for folder in ("validations", "expectations"):
            (docs / folder / f"{old}.html").unlink(missing_ok=True)
    return docs / "index.html"


def _carry(history: Path | None, docs: Path) -> dict[str, dict[str, Any]]:
    """Earlier validations, their pages copied; one whose pages are gone is not listed."""
    own = _read_history(docs)
    if history is None or history.resolve() == docs.resolve():
        return own
    for stamp, entry in _read_history(history).items():
        pages = [f"{folder}/{stamp}.html" for folder in ("expectations", "validations")]
        if stamp not in own and all((history / page).is_file() for page in pages):
            for page in pages:
                write_atomically(docs / page, (history / page).read_text(encoding="utf-8"))
            own[stamp] = entry
    return own


def _read_history(docs: Path) -> dict[str, dict[str, Any]]:
    """A history that cannot be read is begun anew: the pages are a record, not an input."""
    try:
        held = json.loads((docs / HISTORY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(held, dict):
        return {}
    return {key: one for key, one in held.items() if STAMP.match(key) and isinstance(one, dict)}


def _announce(entry: Mapping[str, Any]) -> str:
    word, lines = _name_status(entry), "".join(f"<li>{line}</li>" for line in _tell(entry))
    note = "" if not lines else "<p>Below, a broken warning reads failed as well.</p>"
    return f'<div class="gate {word}"><h4>Quality gate: {word}</h4><ul>{lines}</ul>{note}</div>'


def _name_status(entry: Mapping[str, Any]) -> str:
    word = "passed" if entry.get("passed") else "failed"
    return "fault" if entry.get("engine_errors") else word


def _tell(entry: Mapping[str, Any]) -> list[str]:
    kinds = (("failed", "failures"), ("warning", "warnings"), ("fault", "engine_errors"))
    return [_escape(f"{kind}: {line}") for kind, key in kinds for line in entry.get(key) or ()]


def _escape(text: object) -> str:
    return ADDRESS.sub(SPELLED, escape(str(text)))


def _list_validations(entries: Mapping[str, Mapping[str, Any]]) -> str:
    rows = "".join(_show_row(stamp, entries[stamp]) for stamp in sorted(entries, reverse=True))
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Quality gate: all validations</title><style>{STYLE}</style></head><body>"
        "<h1>Quality gate: all validations</h1>"
        "<p>Newest first. Each row is one run of the rules over the metric table.</p>"
        "<table><thead><tr><th>Time (UTC)</th><th>Run</th><th>Status</th><th>Rules</th>"
        "<th>What was found</th><th>Suite</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></body></html>\n"
    )


def _show_row(stamp: str, entry: Mapping[str, Any]) -> str:
    word, found = _name_status(entry), "<br>".join(_tell(entry)) or "nothing"
    when = f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]} {stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}"
    run, rules = _escape(entry.get("run", "")), _escape(entry.get("rules", ""))
    return (
        f'<tr><td><a href="validations/{stamp}.html">{when}</a></td><td>{run}</td>'
        f'<td class="{word}">{word}</td><td>{rules}</td><td>{found}</td>'
        f'<td><a href="expectations/{stamp}.html">rules</a></td></tr>'
    )
