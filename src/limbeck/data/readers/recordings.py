"""Recordings named by what is said in them: a folder, or a .tar of any packing, of LABEL_*.wav.

Each becomes a log mel spectrogram (bands, frames). The Free Spoken Digit Dataset, DIGIT_SPEAKER_INDEX.wav, is split as its
authors say: the recordings with index 0 to 4 of every speaker and digit are the test part.
Letters: n recordings, s samples of sound, b bands, t frames.
"""

import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limbeck.data.assemble import Raw, in_order
from limbeck.data.reader import How, Reader
from limbeck.errors import UserError

BANDS = 40
WINDOW, HOP = 0.032, 0.016  # seconds that a frame looks at, and from one frame to the next
LONGEST = 1.0  # seconds; what is longer is cut
FLOOR = 1e-3  # of a band's energy, for its logarithm: about the noise of an 8-bit telephone line
FROM = "names of files, up to the first _"
PACKED = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_NAMED = re.compile(r"(?!\.)([^_]+)_.+\.wav", re.IGNORECASE)
_FSDD = re.compile(r"\d_[a-z]+_(\d+)\.wav")


class Recordings(Reader):
    """Recordings named by what is said in them."""

    name = "recordings"
    layout = "recordings LABEL_*.wav, in a folder or a .tar"
    order = 40

    def recognises(self, path: Path) -> bool:
        return find(path) is not None

    def read(self, path: Path, how: How) -> Raw:
        return read(path)


def find(path: Path) -> Path | None:
    """The folder or .tar of recordings at a path, or one step below it; None where there is none."""
    below = [path / "recordings", *(path / f"recordings{ending}" for ending in PACKED)] if path.is_dir() else []
    return next((place for place in [path, *below] if place.exists() and holds_recordings(place)), None)


def holds_recordings(path: Path) -> bool:
    """Whether a folder or .tar has a LABEL_*.wav at its top (of a .tar: anywhere)."""
    if path.is_dir():
        return any(_NAMED.fullmatch(p.name) for p in path.iterdir())
    if not path.name.lower().endswith(PACKED):
        return False
    try:
        with tarfile.open(path) as tar:
            return any(_NAMED.fullmatch(Path(member.name).name) for member in tar)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{path} cannot be read: {error}; replace it") from error


def read(path: Path) -> Raw:
    """Read all recordings as spectrograms of one length: silence is added, what is over a second is cut."""
    place = find(path)
    if place is None:
        raise UserError(f"{path} holds no recordings; expected LABEL_*.wav files, in a folder or a .tar")
    files = _contents(place)
    names = sorted(files)
    waves, rates = zip(*(_wave(place, name, files[name]) for name in names), strict=True)
    if len(set(rates)) > 1:
        raise UserError(f"{place} has recordings of {sorted(set(rates))} samples per second; bring them to one rate")
    rate = rates[0]
    length = min(max(map(len, waves)), round(LONGEST * rate))
    spectra, sound = log_mel(torch.stack([padded(wave, length) for wave in waves]), rate), (rate, length)
    said = [_label(name) for name in names]
    classes = in_order(said)
    labels = torch.tensor([classes.index(label) for label in said])
    notes = [f"recordings of {rate} samples per second as {spectra.shape[1]} log mel bands of {spectra.shape[2]} frames"]
    if cut := sum(len(wave) > length for wave in waves):
        notes.append(f"{cut} recordings longer than {LONGEST:g} s were cut")
    numbers = [_FSDD.fullmatch(_file(name)) for name in names]
    if not all(numbers):
        return Raw({"train": (spectra, labels)}, classes, "other", notes=notes, labels_from=FROM, sound=sound)
    test = torch.tensor([int(found[1]) < 5 for found in numbers if found])
    if not test.any() or test.all():
        return Raw({"train": (spectra, labels)}, classes, "other", notes=notes, labels_from=FROM, sound=sound)
    parts = {"train": (spectra[~test], labels[~test]), "test": (spectra[test], labels[test])}
    notes.append("test: index 0 to 4 of every speaker and digit; the speakers are known")
    return Raw(parts, classes, "other", notes=notes, labels_from=FROM, sound=sound)


def heard(path: Path, sound: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
    """Names and spectrograms (b, t) of a .wav file, or of all below a folder, as the data were made.

    Args:
        sound: samples per second, and samples of a recording: shorter ones are filled with silence, longer ones cut.

    Raises:
        UserError: no recording there, one that cannot be read, or one of another rate.
    """
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() == ".wav") if path.is_dir() else [path]
    if not files or files[0].suffix.lower() != ".wav":
        raise UserError(f"{path} is no recording that this student takes; give .wav files, a folder of them, or a .npy file")
    for file in files:
        wave, rate = _wave(file.parent, file.name, file.read_bytes())
        if rate != sound[0]:
            raise UserError(f"{file} has {rate} samples per second where this student knows {sound[0]}; resample it")
        yield str(file), log_mel(padded(wave, sound[1])[None], rate)[0].numpy()


def _label(name: str) -> str:
    found = _NAMED.fullmatch(_file(name))
    assert found is not None
    return found[1]


def _file(place: str) -> str:
    return place.rpartition("/")[2]


def _contents(place: Path) -> dict[str, bytes]:
    """The bytes of every recording by its path; a .tar is read once, from front to back."""
    try:
        if place.is_dir():
            return {p.name: p.read_bytes() for p in place.iterdir() if _NAMED.fullmatch(p.name)}
        out = {}
        with tarfile.open(place) as tar:
            for member in tar:
                name = member.name
                if member.isfile() and _NAMED.fullmatch(_file(name)) and (opened := tar.extractfile(member)):
                    out[name] = opened.read()
        return out
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{place} cannot be read: {error}; replace it") from error


def _wave(place: Path, name: str, content: bytes) -> tuple[Tensor, int]:
    """(s,) float32 in -1 .. 1 and the samples per second; several channels become their mean."""
    from scipy.io import wavfile

    try:
        rate, sound = wavfile.read(io.BytesIO(content))
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{place}: {name} is not a readable wav file: {error}; replace it") from error
    if not sound.size:
        raise UserError(f"{place}: {name} is empty; remove it")
    whole = np.iinfo(sound.dtype) if sound.dtype.kind in "iu" else None
    values = sound.astype(np.float32)
    if whole is not None:  # 8-bit wav files are unsigned
        middle = 0 if whole.min < 0 else (whole.max + 1) / 2
        values = (values - middle) / (whole.max + 1 - middle)
    return torch.from_numpy(values if values.ndim == 1 else values.mean(1)), int(rate)


def padded(values: Tensor, length: int) -> Tensor:
    """The last dimension cut or filled with zeros to `length`."""
    return torch.nn.functional.pad(values[..., :length], (0, max(0, length - values.shape[-1])))


def log_mel(waves: Tensor, rate: int) -> Tensor:
    """Return the log mel spectrogram (n, b, t) of sounds (n, s) in -1 .. 1 at `rate` samples per second.

    Frames of 32 ms every 16 ms under a Hann window; 40 bands from 60 Hz to half the rate, as HTK spaces them.

    Raises:
        UserError: a rate below 2 kHz, or transformers, whose filter bank is used, is not installed.
    """
    try:
        from transformers.audio_utils import mel_filter_bank
    except ImportError:
        raise UserError('recordings need transformers for their mel bands; run: pip install "limbeck[speech]"') from None
    if rate < 2000:
        raise UserError(f"recordings of {rate} samples per second cannot be used; at least 2,000 are needed")
    size, hop = round(WINDOW * rate), round(HOP * rate)
    points = 1 << (2 * size - 1).bit_length()  # twice the window: the lowest bands have a point each
    waves = padded(waves, max(waves.shape[-1], size))
    bins = torch.stft(waves, points, hop, size, torch.hann_window(size), center=False, return_complex=True).abs().square()
    bank = mel_filter_bank(points // 2 + 1, BANDS, 60.0, rate / 2, rate, norm=None, mel_scale="htk")
    bands = torch.einsum("nft,fb->nbt", bins, torch.from_numpy(bank).to(bins.dtype))
    return bands.clamp_min(FLOOR).log()
