"""Decoding by the stated rules, with Pillow's own turning and blending, or numbers worked by hand, as the reference."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from aeret.data.photos import PhotoFile, decode_batches, decode_photo, photos_in
from aeret.errors import DataError
from aeret.rng import generator


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth picture, so that JPEG keeps it."""
    noise = generator(seed, "picture").integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def decoded(path: Path, size: int = 32, **record: int) -> np.ndarray:
    return decode_photo(PhotoFile(str(path), 7, **record), size).astype(int)


def reference(image: Image.Image, size: int = 32) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)).astype(int)


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{kind}"
    picture(60, 40).save(path, exif=exif)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    assert upright.size == ((60, 40) if orientation < 5 else (40, 60))
    result = decoded(path, height=upright.height, width=upright.width)
    # Pillow rounds after each of its two passes, and turning swaps them.
    assert abs(result - reference(upright)).max() <= 1


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize(("orientation", "place"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
def test_the_white_corner_is_turned_once(tmp_path: Path, orientation: int, place: tuple[int, int], kind: str) -> None:
    """Orientation 6: the first stored row is the right edge of the photo."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / f"turned.{kind}", exif=exif)
    result = decoded(tmp_path / f"turned.{kind}", 16)[..., 0]
    assert result[place] == 255 and result.sum() == 255


def test_size_is_compared_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    picture(60, 40).save(path, exif=exif)
    with pytest.raises(DataError, match=r"turned.jpg \(photo 7\): is 40 x 60 .* its record says 60 x 40"):
        decoded(path, height=40, width=60)


def test_grey_palette_cmyk_and_16_bit(tmp_path: Path) -> None:
    image = picture(50, 50)
    image.convert("L").save(tmp_path / "grey.png")
    grey = decoded(tmp_path / "grey.png")
    assert (grey[..., 0] == grey[..., 1]).all() and (grey[..., 0] == grey[..., 2]).all()
    np.testing.assert_array_equal(grey, reference(image.convert("L")))

    image.quantize(16).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(decoded(tmp_path / "palette.png"), reference(image.quantize(16).convert("RGB")))

    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    assert abs(decoded(tmp_path / "cmyk.jpg") - reference(image)).mean() < 2

    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)  # 0, 257, ... 65535
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(decoded(tmp_path / "deep.png", 16)[..., 1], np.arange(256).reshape(16, 16))

    Image.fromarray(np.eye(16, dtype=bool)).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(decoded(tmp_path / "bits.png", 16)[..., 0], np.eye(16) * 255)


@pytest.mark.parametrize("kind", ["png", "tif", "pgm"])
@pytest.mark.parametrize("brightest", [255, 256, 511, 65535])
def test_16_bits_keep_the_high_byte_however_dark_the_photo_is(tmp_path: Path, brightest: int, kind: str) -> None:
    deep = np.zeros((16, 16), np.uint16)
    deep[3, 5] = brightest
    Image.fromarray(deep).save(tmp_path / f"dark.{kind}")
    np.testing.assert_array_equal(decoded(tmp_path / f"dark.{kind}", 16)[..., 0], deep >> 8)


def test_whole_numbers_of_32_bits_count_as_16(tmp_path: Path) -> None:
    deep = np.tile(np.array([-300, 200, 512, 70_000], np.int32), (16, 4))
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    np.testing.assert_array_equal(decoded(tmp_path / "deep.tif", 16)[0, :4, 0], [0, 0, 2, 255])
    Image.fromarray(deep[:, 1:2].repeat(16, 1)).save(tmp_path / "dark.tif")
    assert not decoded(tmp_path / "dark.tif", 16).any()


def test_alpha_is_blended_over_black(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:] = (200, 100, 50, 128)
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    np.testing.assert_allclose(decoded(tmp_path / "alpha.png", 16)[0, 0], np.array([200, 100, 50]) * 128 / 255, atol=1)

    hidden = Image.new("P", (16, 16), 1)
    hidden.putpalette([9, 9, 9, 255, 0, 0])
    hidden.save(tmp_path / "key.gif", transparency=1)
    assert not decoded(tmp_path / "key.gif", 16).any()


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decoded(tmp_path / "two.gif", 16)[3, 3], [255, 0, 0])


def test_reduction_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    assert abs(decoded(tmp_path / "stripes.png", 16)[2:-2, 2:-2] - 127.5).max() <= 2


def test_a_large_jpeg_is_close_to_its_whole_decode(tmp_path: Path) -> None:
    noise = generator(1, "noise").integers(-20, 20, (480, 640, 3))
    image = Image.fromarray(np.clip(np.asarray(picture(640, 480)) + noise, 0, 255).astype(np.uint8))
    image.save(tmp_path / "large.jpg", quality=92)
    with Image.open(tmp_path / "large.jpg") as whole:
        assert abs(decoded(tmp_path / "large.jpg", 112) - reference(whole, 112)).mean() < 1


def broken_files(folder: Path) -> dict[str, Path]:
    whole = folder / "whole.jpg"
    picture(100, 80).save(whole, quality=95)
    data = whole.read_bytes()
    picture(100, 80).save(folder / "whole.png")
    contents = {
        "cut.jpg": data[: len(data) // 2],
        "last.jpg": data[:-200],
        "cut.png": (folder / "whole.png").read_bytes()[:500],
        "header.jpg": data[:30],
        "empty.jpg": b"",
        "text.jpg": b"<html>404 not found</html>",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.jpg").mkdir()
    return {name: folder / name for name in [*contents, "folder.jpg", "absent.jpg"]}


def test_broken_files_name_file_and_photo(tmp_path: Path) -> None:
    for name, path in broken_files(tmp_path).items():
        with pytest.raises(DataError, match=rf"{name} \(photo 7\): .*(fetch it again|put it there)"):
            decoded(path)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_batches_do_not_depend_on_the_number_of_processes(tmp_path: Path, workers: int) -> None:
    files = []
    for number in range(70):
        path = tmp_path / f"{number}.jpg"
        picture(40, 30, number).save(path)
        files.append(PhotoFile(str(path), number, 30, 40))
    batches = [files[:1], files[1:30], files[30:31], files[31:70]]
    results = list(decode_batches(batches, 16, workers))
    assert [len(result) for result in results] == [1, 29, 1, 39]
    np.testing.assert_array_equal(np.concatenate(results), [decode_photo(file, 16) for file in files])


def test_all_broken_photos_of_a_batch_are_named(tmp_path: Path) -> None:
    files = [PhotoFile(str(path), number) for number, path in enumerate(broken_files(tmp_path).values())]
    with pytest.raises(DataError) as raised:
        list(decode_batches([files], 16))
    assert all(f"(photo {number})" in str(raised.value) for number in range(len(files)))
    assert "aeret data check" in str(raised.value)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    picture(200, 150).save(tmp_path / "one.jpg")
    script = tmp_path / "parent.py"
    script.write_text(
        "from aeret.data.photos import PhotoFile, decode_batches\n"
        "if __name__ == '__main__':\n"
        f"    photo = PhotoFile({str(tmp_path / 'one.jpg')!r}, 0)\n"
        "    for _ in decode_batches([[photo] * 50] * 100_000, 16, 2):\n"
        "        print('decoded', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"decoded\n"
        children = descendants(parent.pid)
        parent.kill()
    assert len(children) >= 2
    for _ in range(100):
        if not any(alive(child) for child in children):
            return
        time.sleep(0.1)
    pytest.fail("processes outlived their killed parent")


def descendants(process: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.append(int(path.parent.name))
    return found


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_photos_in_lists_by_name_and_refuses_nothing(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("z.jpg", "a.PNG", "b/c.webp", "notes.txt"):
        (tmp_path / name).touch()
    found = photos_in(tmp_path)
    assert [Path(photo.path).name for photo in found] == ["a.PNG", "c.webp", "z.jpg"]
    assert [photo.photo_id for photo in found] == [0, 1, 2]
    with pytest.raises(DataError, match="no such folder"):
        photos_in(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no photo"):
        photos_in(tmp_path / "empty")
