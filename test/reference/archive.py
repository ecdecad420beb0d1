"""What the scripts that write TorchScript files share."""

import zipfile


def drop_debug_records(path):
    """They hold the paths of the sources on the machine that ran this."""
    with zipfile.ZipFile(path) as old:
        records = [(info, old.read(info)) for info in old.infolist() if not info.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w") as new:
        for info, content in records:
            new.writestr(zipfile.ZipInfo(info.filename), content, compress_type=info.compress_type)
