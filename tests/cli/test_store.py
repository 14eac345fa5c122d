"""`limbeck plan` and `limbeck store` as a user sees them."""

from limbeck.__main__ import run


def test_plan_says_what_is_stored_and_trains_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["plan", "--method", "fitnets", "--epochs", "2"]) == 0
    said = capsys.readouterr().out
    assert "stage hint: teacher is read from stored answers" in said and "peak memory" in said
    assert not list(tmp_path.iterdir())


def test_store_list_verify_prune(capsys, tmp_path):
    store = str(tmp_path / "store")
    words = ["distill", "--method", "kd", "--epochs", "1", "--quiet", "--set", "teacher.epochs=1", "--set", f"store.path={store}"]
    assert run([*words, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert run(["store", "list", "--path", store]) == 0
    assert "digits" in capsys.readouterr().out
    assert run(["store", "verify", "--path", store]) == 0
    assert "0 damaged answers in 1 shelves" in capsys.readouterr().out
    shard = next((tmp_path / "store").rglob("view-0000.safetensors"))
    bits = bytearray(shard.read_bytes())
    bits[-40 * 700] ^= 0xFF
    bits[-40 * 1200] ^= 0xFF
    shard.write_bytes(bits)
    assert run(["store", "verify", "--path", store]) == 0
    assert "damaged answers removed" in capsys.readouterr().out
    assert run(["store", "prune", "--path", store]) == 0
    assert run(["store", "list", "--path", store]) == 0
    assert "is empty" in capsys.readouterr().out


def test_plan_foresees_methods_whose_models_are_born_on_the_way(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("born_again", "zero_shot", "adversarial", "rco"):
        assert run(["plan", "--method", name, "--epochs", "1", "--set", "data.limit=200"]) == 0, name
        assert "peak memory" in capsys.readouterr().out
