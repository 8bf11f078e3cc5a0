"""What axe-core says of a page."""

from importlib import resources

from playwright.sync_api import Page

_LEAST_PASSES = 10
"""With fewer it looked at next to nothing."""


def faults(page: Page, impacts: tuple[str, ...] = ("serious", "critical")) -> list[str]:
    """Rules that the page breaks, with the elements that do."""
    axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
    page.evaluate(axe)  # evaluated by the browser, so the page's security policy need not allow it
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > _LEAST_PASSES
    return [
        f"{fault['id']}: {[node['html'][:120] for node in fault['nodes']]}"
        for fault in found["violations"]
        if fault["impact"] in impacts
    ]
