"""The project's place on the web: owner, name and release of its repository, and the addresses made from them. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub, and the addresses that belong to it.

    owner, name: as in `https://github.com/OWNER/NAME`
    branch: the branch whose files the documentation links to
    release: what Binder builds: `HEAD` for the newest commit, or a release's tag such as `v0.1.0`
    """

    owner: str
    name: str
    branch: str = "main"
    release: str = "HEAD"

    @property
    def slug(self) -> str:
        """Return owner and name as GitHub writes them.

        >>> Repository("somebody", "course").slug
        'somebody/course'
        """
        return f"{self.owner}/{self.name}"

    @property
    def url(self) -> str:
        """Return the address of the repository, without a slash at its end."""
        return f"https://github.com/{self.slug}"

    @property
    def site(self) -> str:
        """Return the address of the website on GitHub Pages, with a slash at its end.

        GitHub makes it of owner and name (docs.github.com, "What is GitHub Pages?").

        >>> Repository("Somebody", "course").site
        'https://somebody.github.io/course/'
        """
        return f"https://{self.owner.lower()}.github.io/{self.name}/"

    def file(self, path: str) -> str:
        """Return the page on GitHub that shows a file.

        >>> Repository("somebody", "course").file("docs/README.md")
        'https://github.com/somebody/course/blob/main/docs/README.md'
        """
        return f"{self.url}/blob/{self.branch}/{path}"

    def binder(self, notebook: str) -> str:
        """Return the address that opens a notebook in JupyterLab on Binder.

        `notebook`: its path in the repository (mybinder.readthedocs.io, "User interfaces": `urlpath`).

        >>> Repository("somebody", "course", release="v1.0.0").binder("notebooks/en/03-arp.ipynb")
        'https://mybinder.org/v2/gh/somebody/course/v1.0.0?urlpath=lab/tree/notebooks/en/03-arp.ipynb'
        """
        return f"https://mybinder.org/v2/gh/{self.slug}/{self.release}?urlpath=lab/tree/{notebook}"


# Change it here when you fork, or when you release; then run `python docs/make_links.py`.
REPOSITORY = Repository(owner="kanslib", name="kanslib", branch="main", release="HEAD")
