"""`python -m website.build`: writes the site's sources to build/site-source, the site to build/site; stops at a broken link."""

import sys
from pathlib import Path

from website.sources import ROOT, forgotten, write

SOURCE, SITE = ROOT / "build" / "site-source", ROOT / "build" / "site"


def addresses(site: Path) -> list[str]:
    """Pages that would fetch something from elsewhere when they are opened: scripts, styles, pictures, fonts."""
    import re

    asked = re.compile(
        r"""<(?:script|img|iframe|source)[^>]+src=["']?https?:|<link[^>]+href=["']?https?:[^>]*(?:stylesheet|icon|preload)"""
    )
    return [
        str(page.relative_to(site)) for page in sorted(site.rglob("*.html")) if asked.search(page.read_text(encoding="utf-8"))
    ]


def main() -> int:
    from mkdocs.__main__ import cli

    lost = forgotten()
    if lost:
        print(
            f"these sections of the guide are on no page of the site; name them in website/layout.py: {', '.join(lost)}",
            file=sys.stderr,
        )
        return 1
    write(SOURCE)
    try:
        cli(["build", "--strict", "--config-file", str(ROOT / "website" / "mkdocs.yml")], standalone_mode=False)
    except (Exception, SystemExit) as error:
        print(f"the site was not built: {error}", file=sys.stderr)
        return 1
    outside = addresses(SITE)
    if outside:
        print(f"these pages fetch something from elsewhere: {', '.join(outside[:5])}", file=sys.stderr)
        return 1
    print(SITE / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
