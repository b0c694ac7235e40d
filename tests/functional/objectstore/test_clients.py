"""Debian's clients against the daemon: the AWS CLI and s3cmd."""

import os
import subprocess

import pytest

from tests.functional.objectstore.stores import REGION

MIB = 1024 * 1024


@pytest.fixture
def run(store, user, tmp_path):
    """Run a client as a user; what it prints."""
    (tmp_path / "s3cfg").write_text(
        f"[default]\naccess_key = {user.access}\nsecret_key = {user.secret}\nhost_base = localhost:{store.port}\n"
        f"host_bucket = localhost:{store.port}\nbucket_location = {REGION}\nuse_https = False\nsignature_v2 = False\n"
        "multipart_chunk_size_mb = 5\n"
    )
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": user.access,
        "AWS_SECRET_ACCESS_KEY": user.secret,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "LC_ALL": "C.UTF-8",
    }
    clients = {
        "aws": ["/usr/bin/aws", "--endpoint-url", store.url],
        "s3cmd": ["/usr/bin/s3cmd", "--config", str(tmp_path / "s3cfg"), "--no-progress"],
    }

    def run_client(name, *arguments):
        command = [*clients[name], *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_client


def test_the_aws_cli_copies_and_lists_and_removes(run, tmp_path):
    content = os.urandom(17 * MIB)
    (tmp_path / "disk.img").write_bytes(content)
    run("aws", "s3", "mb", "s3://images")

    run("aws", "s3", "cp", "disk.img", "s3://images/a b/disk.img")
    run("aws", "s3", "cp", "s3://images/a b/disk.img", "s3://images/copy.img")
    run("aws", "s3", "cp", "s3://images/copy.img", "back.img")

    assert (tmp_path / "back.img").read_bytes() == content
    listed = run("aws", "s3", "ls", "s3://images")
    assert ("PRE a b/" in listed, "copy.img" in listed) == (True, True)
    run("aws", "s3", "rb", "--force", "s3://images")
    assert "images" not in run("aws", "s3", "ls")


def test_s3cmd_copies_and_lists_and_removes(run, tmp_path):
    content = os.urandom(11 * MIB)
    (tmp_path / "disk.img").write_bytes(content)
    run("s3cmd", "mb", "s3://images")

    run("s3cmd", "put", "disk.img", "s3://images/a b/é.img")
    run("s3cmd", "get", "s3://images/a b/é.img", "back.img")

    assert (tmp_path / "back.img").read_bytes() == content
    assert "s3://images/a b/é.img" in run("s3cmd", "ls", "--recursive", "s3://images")
    assert "File size" in run("s3cmd", "info", "s3://images/a b/é.img")
    run("s3cmd", "del", "s3://images/a b/é.img")
    run("s3cmd", "rb", "s3://images")
    assert "images" not in run("s3cmd", "ls")
