"""Checkpoints from the Hugging Face hub: the authors' own safetensors, or one GGUF file of a repository.

Only data is taken: configuration, tokenizer, templates and weights in safetensors or GGUF. Pickles and Python
files are never downloaded. `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE` mean what they mean to the hub's
own library. The token that `hf auth login` stored is sent to https://huggingface.co only, and none is sent
without encryption, but to this machine itself: see `chatterm.hub_access`.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from chatterm import hub_access, inert
from chatterm.checkpoint import folders
from chatterm.checkpoint.catalog import HubSource
from chatterm.checkpoint.fetch.progress import Meter
from chatterm.checkpoint.fetch.receipts import Receipt, kept, write_receipt
from chatterm.checkpoint.fetch.storage import make_room, settle, workplace
from chatterm.checkpoint.fetch.transfer import Checksum, RemoteFile, download
from chatterm.checkpoint.fetch.unfinished import Note, noted
from chatterm.checkpoint.fetch.web import Client, RefusedError, Timeouts, UnreachableError
from chatterm.checkpoint.weight_files import SINGLE
from chatterm.errors import UserError

MAX_LISTING_BYTES = 32 << 20
_SMALL = re.compile(
    r"(config|generation_config|chat_template|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|tokenizer\.model|merges\.txt|chat_template\.jinja|(LICENSE|NOTICE|USE_POLICY)(\.(txt|md))?"
)
_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json")
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")


class HubError(UserError):
    """The hub did not give it: one sentence, with what to do. `reason` is the cause alone."""

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(inert.line(sentence))
        self.reason = reason


class _Lfs(msgspec.Struct):
    sha256: str | None = None


class Sibling(msgspec.Struct, rename={"path": "rfilename", "blob": "blobId"}):
    """One file of a repository, as the hub announces it."""

    path: str
    size: int | None = None
    blob: str | None = None
    lfs: _Lfs | None = None


class Listing(msgspec.Struct, rename={"commit": "sha"}):
    """The files of a repository at one commit."""

    commit: str
    siblings: list[Sibling] = []


@dataclass(frozen=True)
class Hub:
    """A hub, or a mirror of it, and who asks."""

    endpoint: str
    client: Client
    withheld: hub_access.Withheld | None = None
    """Why it does not get the token that there is."""

    @property
    def host(self) -> str:
        """What to call it in a sentence."""
        return urlsplit(self.endpoint).hostname or self.endpoint

    def listing(self, source: HubSource) -> Listing:
        """The files of a repository."""
        return self.parsed(self.raw_listing(source))

    def raw_listing(self, source: HubSource) -> bytes:
        """All that the hub says of a repository. Waits only as long as a first contact may take."""
        repository, revision = quote(source.repository), quote(source.revision, safe="")
        url = f"{self.endpoint}/api/models/{repository}/revision/{revision}?blobs=true"
        return self.client.read_all(url, MAX_LISTING_BYTES, seconds=self.client.timeouts.connect)

    @staticmethod
    def parsed(content: bytes) -> Listing:
        """The files in what the hub says."""
        try:
            listing = msgspec.json.decode(content, type=Listing)
        except msgspec.MsgspecError:
            raise UnreachableError("its answer makes no sense") from None
        if not re.fullmatch("[0-9a-f]{40}", listing.commit):
            raise UnreachableError("its answer makes no sense")
        return listing

    def address(self, source: HubSource, commit: str, path: str) -> str:
        """Of one file."""
        return f"{self.endpoint}/{quote(source.repository)}/resolve/{commit}/{quote(path)}"


def fetch_from_hub(
    source: HubSource, choice: str | None, models: Path, meter: Meter, timeouts: Timeouts
) -> Path:
    """Download a repository's checkpoint into `models`/organisation/name, or one GGUF file of it (`choice`).

    Raises:
        HubError: it cannot be reached, refuses, or holds nothing that can be loaded.
        FetchStoppedError, UserError: stopped, or no room on the disk.
    """
    hub = connect(f"{source.repository} is not on this machine, and", timeouts, meter.check)
    meter.begin(f"asking {hub.host} for {source.repository}", None)
    with plainly(hub, source):
        files = select(hub.listing(source), source, choice, hub.endpoint)
        return _download_all(files, source, choice, hub.client, models, meter)


def connect(because: str, timeouts: Timeouts, check: Callable[[], None]) -> Hub:
    """The hub that the environment names; nothing is sent yet. `because` begins the sentence of a refusal.

    Raises:
        HubError: `HF_HUB_OFFLINE` forbids it, or the token cannot be used.
    """
    if hub_access.is_offline():
        raise HubError(f"{because} HF_HUB_OFFLINE forbids asking the hub.", "HF_HUB_OFFLINE is set")
    endpoint, token = hub_access.endpoint(), hub_access.token()
    withheld = None if token is None else hub_access.withheld(token, endpoint)
    sent = None if token is None or withheld is not None else _usable(token)
    return Hub(endpoint, Client(sent, timeouts, check), withheld)


@contextlib.contextmanager
def plainly(hub: Hub, source: HubSource | None) -> Iterator[None]:
    """What the network and the hub do wrong, as a `HubError`; `source` is what was asked for."""
    try:
        yield
    except UnreachableError as error:
        raise HubError(
            f"{hub.host} cannot be reached: {error}; try again later, or set HF_ENDPOINT to a mirror.",
            f"{hub.host} cannot be reached ({error})",
        ) from None
    except RefusedError as error:
        raise _refusal(error, source, hub) from None


def _download_all(
    files: list[RemoteFile],
    source: HubSource,
    choice: str | None,
    client: Client,
    models: Path,
    meter: Meter,
) -> Path:
    repository = source.repository
    gguf = next((file for file in files if file.name.lower().endswith(".gguf")), None)
    target = models / repository
    place = repository if gguf is None else f"{repository}/{gguf.name}"
    with workplace(models, place, meter) as folder:
        result = target / gguf.name if gguf is not None else target
        if result.is_file() or folders.is_whole_checkpoint_folder(result):
            return result  # another process was faster
        there = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        total = sum(file.size for file in files)
        make_room(folder, max(total - there, 0), repository)
        name = repository if choice is None else f"{repository}:{choice}"
        note = Note(name, repository, total, tuple(file.name for file in files))
        meter.begin(f"downloading {repository}", total)
        with noted(folder, note):
            for file in files:
                download(file, folder, client, meter)
            _take(files, folder, target, repository)
        write_receipt(models, result, Receipt(name, repository, kept(files)))
    return result


def _take(files: list[RemoteFile], folder: Path, target: Path, repository: str) -> None:
    """Give what was downloaded into `folder` its place."""
    for path in folder.iterdir():
        if path.name not in {file.name for file in files}:
            path.unlink()
    if any(file.name.lower().endswith(".gguf") for file in files):
        for file in reversed(files):  # the first part of a split file last: it stands for all of them
            settle(folder / file.name, target / file.name)
        return
    if (problem := folders.folder_problem(folder)) is not None:
        raise HubError(f"{repository} was downloaded, but {problem}; it cannot be loaded.", problem)
    settle(folder, target)


# --- which files ----------------------------------------------------------------------------------------


def select(listing: Listing, source: HubSource, choice: str | None, endpoint: str) -> list[RemoteFile]:
    """The files of a repository that make a checkpoint, small ones first.

    Raises:
        HubError: it has none, or they are not those that the catalog knows.
    """
    repository = source.repository
    siblings = {sibling.path: sibling for sibling in listing.siblings}
    paths = (
        _gguf_choice(siblings, choice, repository)
        if choice is not None
        else _checkpoint(siblings, repository)
    )
    known = {file.path: file for file in source.files}
    if choice is None and (missing := sorted(set(known) - set(paths))):
        raise HubError(
            f"{repository} has no {missing[0]} any more; a newer chatterm may know where it went.",
            f"{repository} has no {missing[0]} any more",
        )
    files = []
    for path in paths:
        if not path.isprintable() or "\\" in path:  # what no file should be called, and no line should show
            raise HubError(
                f"{repository} calls a file {path}; a name like that is not taken.", "its file names are odd"
            )
        sibling, fact = siblings[path], known.get(path)
        size = sibling.size
        if size is None or size < 0 or (fact is not None and fact.bytes not in (None, size)):
            raise HubError(
                f"{repository} announces {path} with {size} bytes, which cannot be; nothing was downloaded.",
                f"{path} has changed",
            )
        url = f"{endpoint}/{quote(repository)}/resolve/{listing.commit}/{quote(path)}"
        expected = None if fact is None else fact.sha256
        files.append(RemoteFile(path.rsplit("/", 1)[-1], url, size, _checksums(sibling, expected)))
    return sorted(files, key=lambda file: (bool(_WEIGHTS.fullmatch(file.name)), file.name))


def _checksums(sibling: Sibling, expected: str | None) -> tuple[Checksum, ...]:
    """What the catalog says and what the hub says; where both speak, both have to be right."""
    found = set()
    if expected is not None:
        found.add(Checksum("sha256", expected))
    if sibling.lfs is not None and sibling.lfs.sha256 is not None:
        found.add(Checksum("sha256", sibling.lfs.sha256.lower()))
    elif sibling.lfs is None and sibling.blob is not None:
        found.add(Checksum("git", sibling.blob.lower()))
    return tuple(sorted(found, key=lambda checksum: (checksum.kind, checksum.value)))


def _checkpoint(siblings: dict[str, Sibling], repository: str) -> list[str]:
    weights = [path for path in siblings if _WEIGHTS.fullmatch(path)]
    if SINGLE in weights:
        weights = [SINGLE]
    shards = any(_SHARD.fullmatch(path) for path in weights)
    if "config.json" in siblings and (SINGLE in weights or shards):
        return [*(path for path in siblings if _SMALL.fullmatch(path)), *weights]
    if ggufs := sorted(path for path in siblings if path.lower().endswith(".gguf")):
        kinds = dict.fromkeys(
            folders.quantisation_in(folders.without_shard(Path(path).stem)) for path in ggufs
        )
        names = [kind.upper() for kind in kinds if kind is not None] or [Path(ggufs[0]).name]
        raise HubError(
            f"{repository} holds GGUF files; choose one, as in `chatterm models get {repository}:{names[0]}`"
            + (f" (there are {', '.join(names[:12])})." if len(names) > 1 else "."),
            "it holds several GGUF files",
        )
    if any(path.endswith(folders.PICKLED_WEIGHTS) for path in siblings):
        raise HubError(
            f"{repository} has only PyTorch pickles, which can run code when they are opened; "
            "look for a repository with safetensors or GGUF.",
            "it has only PyTorch pickles",
        )
    raise HubError(f"{repository} holds no language model in safetensors or GGUF.", "it holds no checkpoint")


def _gguf_choice(siblings: dict[str, Sibling], choice: str, repository: str) -> list[str]:
    ggufs = sorted(path for path in siblings if path.lower().endswith(".gguf"))
    for path in ggufs:
        name = path.rsplit("/", 1)[-1]
        if path == choice or folders.answers_to(name, choice):
            numbers = folders.shard_numbers(name)
            if numbers is None:
                return [path]
            folder = path[: -len(name)]
            parts = [folder + folders.shard_name(Path(name), number) for number in range(1, numbers[1] + 1)]
            if all(part in siblings for part in parts):
                return parts
    names = ", ".join(path.rsplit("/", 1)[-1] for path in ggufs[:8])
    raise HubError(
        f"{repository} has no {choice}" + (f"; it has {names}." if ggufs else ", nor any GGUF file."),
        f"it has no {choice}",
    )


# --- who asks, and what it means when the hub says no ---------------------------------------------------


def _usable(token: hub_access.Token) -> str:
    if not (token.text.isascii() and token.text.isprintable()):
        raise HubError(
            "The token for the hub (HF_TOKEN, or the one that `hf auth login` stored) holds characters that "
            "no token has: set it anew.",
            "its token cannot be used",
        )
    return token.text


_WITHHELD: dict[hub_access.Withheld, str] = {
    "elsewhere": f"the token that `hf auth login` stored goes to {hub_access.HUB} only, so set HF_TOKEN to "
    "send one to {host}.",
    "unencrypted": "your token was not sent, because others could read it on the way without https:// in "
    "HF_ENDPOINT.",
}


def _refusal(error: RefusedError, source: HubSource | None, hub: Hub) -> HubError:
    refusal = _no(error, source, hub)
    if error.status not in (401, 403) or hub.withheld is None:
        return refusal
    return HubError(
        f"{refusal.sentence.rstrip('.')}; {_WITHHELD[hub.withheld].format(host=hub.host)}", refusal.reason
    )


def _no(error: RefusedError, source: HubSource | None, hub: Hub) -> HubError:
    code = error.code
    if source is not None:
        page = f"{hub.endpoint}/{source.repository}"
        gated = source.gated and code in ("", "GatedRepo")
        if error.status in (401, 403) and (gated or code == "GatedRepo"):
            who = (
                "with a token that may read it"
                if hub.client.token is None
                else "with the account your token belongs to"
            )
            return HubError(
                f"{source.repository} asks everybody to accept its licence first: do so at {page}, {who} "
                "(`hf auth login`, or HF_TOKEN), then try again.",
                "its licence has to be accepted on the hub first",
            )
        if code == "RevisionNotFound":
            return HubError(f"{page} no longer has the revision {source.revision}.", "that revision is gone")
        if error.status in (401, 404) or code == "RepoNotFound":
            return HubError(
                f"There is no {source.repository} on {hub.host}, or it is private; check the name at {page}.",
                f"{hub.host} has no such repository",
            )
        if error.status == 403:
            return HubError(
                f"{hub.host} does not let you download {source.repository}; see {page}.", "access is refused"
            )
    if error.status == 401 and hub.client.token is None:
        return HubError(
            f"{hub.host} answers nobody without a token; log in with `hf auth login`, or set HF_TOKEN.",
            "it wants a token",
        )
    if error.status == 401:
        return HubError(
            f"{hub.host} does not know your token; log in anew with `hf auth login`, or take HF_TOKEN away.",
            "it does not know the token",
        )
    when = f"in {math.ceil(error.retry_after / 60)} minutes" if error.retry_after > 60 else ""
    if error.status == 429:
        return HubError(
            f"{hub.host} has had too many requests from here; try again {when or 'in a few minutes'}.",
            "too many requests",
        )
    return HubError(
        f"{hub.host} answers with HTTP status {error.status}; try again {when or 'later'}.",
        f"{hub.host} answers with HTTP status {error.status}",
    )
