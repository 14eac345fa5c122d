"""Recordings: what is read, how it is split, and the spectrogram against sums by hand."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

pytest.importorskip("transformers", reason="the mel bands are those of transformers")

from limbeck import data as D
from limbeck.data.readers import recordings
from limbeck.errors import UserError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "fsdd"
RATE = 4000


def sound(pitch, seconds=0.3):
    return (8000 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * RATE)) / RATE)).astype(np.int16)


def write(folder, names, rate=RATE, **more):
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        wavfile.write(folder / name, rate, sound(300 + 100 * k, **more))
    return folder


DIGITS = [f"{digit}_{who}_{k}.wav" for digit in (0, 1, 7) for who in ("ann", "bob") for k in range(7)]


@pytest.mark.parametrize("packed", ["", "tar", "tar.xz", "tar.gz"])
def test_spoken_digits_are_split_by_their_index(tmp_path, packed):
    place = write(tmp_path / "recordings", DIGITS)
    if packed:
        place = tmp_path / f"digits.{packed}"
        with tarfile.open(place, f"w:{packed.partition('.')[2]}") as tar:
            tar.add(tmp_path / "recordings", "recordings")
    data = D.load(str(place), validation=0)
    assert data.classes == ("0", "1", "7") and data.kind == "other" and data.shape[0] == recordings.BANDS
    assert len(data["test"]) == 3 * 2 * 5 and len(data["train"]) == 3 * 2 * 2
    assert data["train"].labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert len(data.mean) == recordings.BANDS


def test_other_recordings_are_split_by_us_and_lie_in_any_folder(tmp_path):
    write(tmp_path / "recordings", [f"{word}_{k}.wav" for word in ("yes", "no") for k in range(10)])
    data = D.load("recordings", path=tmp_path, validation=0)
    assert data.classes == ("no", "yes") and len(data["test"]) == 4
    assert D.load(str(tmp_path), validation=0).fingerprint == data.fingerprint


def test_the_spectrogram_is_the_sum_it_says():
    from transformers.audio_utils import mel_filter_bank

    wave = torch.from_numpy(sound(440)).float()[None] / 32768
    size, hop, points = 128, 64, 256
    bank = mel_filter_bank(points // 2 + 1, recordings.BANDS, 60.0, RATE / 2, RATE, norm=None, mel_scale="htk")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    frame = np.zeros(points)
    frame[64 : 64 + size] = wave[0, 5 * hop + 64 : 5 * hop + 64 + size].numpy() * window  # torch puts it in the middle
    energy = np.array([abs(np.sum(frame * np.exp(-2j * np.pi * f * np.arange(points) / points))) ** 2 for f in range(129)])
    expected = np.log(np.maximum(energy @ bank, recordings.FLOOR))
    found = recordings.log_mel(wave, RATE)[0, :, 5]
    np.testing.assert_allclose(found, expected, atol=2e-3)  # float32 sums against float64 ones, after a logarithm


def test_a_higher_pitch_is_in_a_higher_band():
    low, high = (
        recordings.log_mel(torch.from_numpy(sound(p)).float()[None] / 32768, RATE)[0].mean(1).argmax() for p in (300, 1500)
    )
    assert low < high


def test_what_is_long_is_cut_and_said(tmp_path):
    write(tmp_path, [f"{word}_{k}.wav" for word in "ab" for k in range(5)], seconds=1.4)
    data = D.load("recordings", path=tmp_path, validation=0)
    assert any("10 recordings longer than 1 s were cut" in note for note in data.notes)


def test_eight_bits_and_two_channels(tmp_path):
    one = sound(400)
    wavfile.write(tmp_path / "a_1.wav", RATE, one)
    wavfile.write(tmp_path / "a_2.wav", RATE, np.stack([one, one], 1))
    wavfile.write(tmp_path / "b_1.wav", RATE, (np.round(one / 256) + 128).astype(np.uint8))
    x = recordings.read(tmp_path).parts["train"][0]
    assert torch.equal(x[0], x[1])
    assert (x[0] - x[2]).abs().mean() < 1.5 and (x[0].argmax(0) == x[2].argmax(0)).float().mean() > 0.9  # 8-bit noise


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: (p / "a_9.wav").write_bytes(b"RIFFnothing"), "a_9.wav is not a readable wav file"),
        (lambda p: wavfile.write(p / "a_9.wav", 2 * RATE, sound(400)), "bring them to one rate"),
        (lambda p: [f.unlink() for f in p.iterdir()], "holds no recordings"),
        (lambda p: write(p, [f.name for f in p.iterdir()], rate=1000), "at least 2,000"),
    ],
)
def test_bad_recordings_are_one_sentence(tmp_path, change, words):
    write(tmp_path, [f"{word}_{k}.wav" for word in "ab" for k in range(5)])
    change(tmp_path)
    with pytest.raises(UserError, match=words) as caught:
        D.load("recordings", path=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_archive_and_a_missing_one(tmp_path):
    (tmp_path / "x.tar.xz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be read"):
        D.load(str(tmp_path / "x.tar.xz"))
    with pytest.raises(UserError, match="fsdd is not in"):
        D.load("fsdd", path=tmp_path / "nowhere")


@pytest.mark.skipif(not SHARED.exists(), reason="needs the spoken digits in ../shared/data/fsdd")
def test_the_real_spoken_digits():
    data = D.load("fsdd", path=SHARED, validation=0)
    assert data.shape == (40, 59) and len(data["train"]) == 2700 and len(data["test"]) == 300
    assert torch.equal(data["test"].labels.bincount(), torch.full((10,), 30))


def test_recordings_are_answered_as_they_are(tmp_path):
    from typer.testing import CliRunner

    import limbeck
    from limbeck.cli.app import app

    place = write(tmp_path / "recordings", [f"{word}_{k}.wav" for word in ("low", "high") for k in range(12)])
    data = D.load(str(place))
    assert data.sound == (RATE, round(0.3 * RATE))
    found = list(recordings.heard(place, data.sound))
    every, numbers = (torch.cat([getattr(part, key) for part in data.partitions.values()]) for key in ("inputs", "index"))
    assert torch.equal(torch.stack([torch.from_numpy(one) for _, one in found]), every[numbers.argsort()])
    words = ["distill", "--data", place, "--teacher", "gru", "--student", "gru", "--set", "student.width=4"]
    done = CliRunner().invoke(
        app, [*map(str, words), "--epochs", "1", "--no-baseline", "--no-onnx", "--out", str(tmp_path / "run")]
    )
    assert done.exit_code == 0, done.output
    answers = limbeck.predict(tmp_path / "run", place)
    assert [Path(one["input"]).name for one in answers] == sorted(file.name for file in place.iterdir())
    with torch.no_grad():
        shares = limbeck.load(tmp_path / "run")(every[numbers.argsort()]).softmax(-1)
    assert [one["p(low)"] for one in answers] == pytest.approx(shares[:, data.classes.index("low")].tolist(), rel=1e-4)
    wavfile.write(tmp_path / "fast.wav", 8000, sound(300))
    with pytest.raises(UserError, match="8000 samples per second where this student knows 4000"):
        limbeck.predict(tmp_path / "run", tmp_path / "fast.wav")
    (tmp_path / "none.txt").write_text("x")
    with pytest.raises(UserError, match="no recording that this student takes"):
        limbeck.predict(tmp_path / "run", tmp_path / "none.txt")
