"""The backend is chosen by the files that the daemon is going to read."""

from nova import backend


def test_the_last_file_that_names_a_backend_has_it(tmp_path):
    (tmp_path / "parts").mkdir()
    for name, value in (("nova.conf", "eventlet"), ("parts/10.conf", "auto"), ("parts/20.conf", "threading")):
        (tmp_path / name).write_text(f"[DEFAULT]\nconcurrency_backend = {value}\n")
    (tmp_path / "parts/README").write_text("concurrency_backend = eventlet\n")

    words = ["--config-file", str(tmp_path / "nova.conf"), f"--config-dir={tmp_path}/parts"]

    assert backend._configured(words) == "threading"
    assert backend._configured(words[:2]) == "eventlet"
