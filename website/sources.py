"""The site's sources out of the documents: sections become pages, and every link leads to where its target now is."""

import posixpath
import re
import shutil
from pathlib import Path

from website import gallery, reference, tables
from website.layout import COPIED, GUIDE, JOBS, LEFT_OUT, MADE

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^(```|   ```).*?^\1$|`[^`\n]+`", re.M | re.S)
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
Place = tuple[str, str]  # a page, and an anchor on it


def slug(heading: str) -> str:
    """A heading's anchor, as MkDocs and GitHub make it.

    >>> slug("The surveys' systems"), slug("Settings, three ways")
    ('the-surveys-systems', 'settings-three-ways')
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def sections(text: str) -> list[tuple[int, str, str]]:
    """(level, heading, body) of a document in order; what stands before the first heading has level 0."""
    hidden = FENCE.sub(lambda found: re.sub(r"^#", "\0", found[0], flags=re.M), text)
    pieces = re.split(r"^(#{1,3}) (.+)$", hidden, flags=re.M)
    found = [(0, "", pieces[0])]
    found += [(len(mark), head, body) for mark, head, body in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True)]
    return [(level, head, body.replace("\0", "#")) for level, head, body in found]


def taken() -> dict[tuple[str, str], str]:
    """(document, heading) -> the page that has it."""
    return {section: page for page, (_, parts) in JOBS.items() for section in parts}


def homes() -> dict[Place, Place]:
    """(document, anchor) -> (page, anchor): where everything that can be linked to has gone."""
    found: dict[Place, Place] = {(document, ""): (page, "") for page, document in (COPIED | MADE).items()}
    for document in {document for document, _ in taken()}:
        page = ""
        for level, head, _ in sections((ROOT / document).read_text(encoding="utf-8")):
            page = taken().get((document, head), page if level > 2 else "")
            if page:
                found[document, slug(head)] = (page, slug(head))
    found["docs/guide.md", ""] = found["README.md", ""] = ("index.md", "")
    found |= {(GUIDE, slug(head)): (page, "") for head, page in LEFT_OUT.items()}
    found |= {("docs/methods.md", anchor): ("methods/index.md", "") for anchor in ("by-need", "all")}
    for name in (ROOT / "docs" / "methods").glob("*.md"):
        found[f"docs/methods/{name.name}", ""] = (f"methods/{name.name}", "")
    return found


def relinked(text: str, document: str, page: str, known: dict[Place, Place]) -> str:
    """A text of a document with links as its new page needs them. A link to what the site lacks becomes plain words."""

    def lead(found: re.Match[str]) -> str:
        before, link, after = found.groups()
        if "://" in link or link.startswith("mailto:"):
            return found[0]
        file, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(document), file)) if file else document
        if target.endswith((".png", ".svg", ".jpg")):
            return f"{before}{_from(page, target.removeprefix('docs/'))}{after}"
        there = known.get((target, anchor)) or known.get((target, ""))
        if there is None:
            return before.removeprefix("!")[1:-2]
        own = there[1] or (anchor if (target, anchor) not in known else "")
        return f"{before}{_from(page, there[0]) if there[0] != page else ''}{'#' + own if own else ''}{after}"

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(lead, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(lead, text[end:])])


def _from(page: str, target: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def job_pages(known: dict[Place, Place]) -> dict[str, str]:
    """The pages that are made of sections."""
    made = {page: [f"# {title}\n"] for page, (title, _) in JOBS.items()}
    order = {section: place for _, parts in JOBS.values() for place, section in enumerate(parts)}
    chunks: dict[str, dict[int, list[str]]] = {page: {} for page in JOBS}
    for document in sorted({document for document, _ in taken()}):
        page, place = "", 0
        for level, head, body in sections((ROOT / document).read_text(encoding="utf-8")):
            section = (document, head)
            if section in order:
                page, place = taken()[section], order[section]
            elif level <= 2:
                page = ""
            if page:
                heading = f"{'##' if section in order else '###'} {head}\n"
                chunks[page].setdefault(place, []).append(heading + relinked(body, document, page, known))
    for page, parts in chunks.items():
        assert len(parts) == len(JOBS[page][1]), f"{page}: a section of website/layout.py is in no document"
        made[page] += [text for place in sorted(parts) for text in parts[place]]
    return {page: "\n".join(parts) for page, parts in made.items()}


def forgotten() -> list[str]:
    """Sections of the guide that no page of the site has."""
    page, found = "", []
    for level, head, _ in sections((ROOT / "docs/guide.md").read_text(encoding="utf-8")):
        page = taken().get(("docs/guide.md", head), page if level > 2 else "")
        found += [head] if level >= 2 and not page and head not in LEFT_OUT else []
    return found


def pages() -> dict[str, str]:
    """Every page of the site by its path, as Markdown."""
    known = homes()
    found = job_pages(known)
    for page, document in COPIED.items():
        found[page] = relinked((ROOT / document).read_text(encoding="utf-8"), document, page, known)
    for name in sorted((ROOT / "docs" / "methods").glob("*.md")):
        found[f"methods/{name.name}"] = relinked(
            name.read_text(encoding="utf-8"), f"docs/methods/{name.name}", f"methods/{name.name}", known
        )
    for own in sorted((ROOT / "website" / "pages").glob("*.md")):
        found[own.name] = own.read_text(encoding="utf-8")
    return found | {"methods/index.md": gallery.page()} | tables.pages() | reference.pages()


def write(target: Path) -> None:
    """Write the sources of the site into a folder, anew."""
    shutil.rmtree(target, ignore_errors=True)
    for name, text in pages().items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "website" / "assets", target / "assets")
    for picture in [*(ROOT / "docs").glob("*.png"), *(ROOT / "docs").glob("*.svg"), *(ROOT / "docs" / "methods").glob("*.svg")]:
        place = target / picture.relative_to(ROOT / "docs")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, place)
