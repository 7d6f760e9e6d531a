"""
From ground and sky to reflectances, as every optical sensor sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shplan.sandbox.geometry import WGS84
from shplan.sandbox.imagery.cover import Cover, cover
from shplan.sandbox.imagery.grid import Pixels, unproject
from shplan.sandbox.imagery.land import Land, land
from shplan.sandbox.imagery.lattice import (
    Key,
    Lattice,
    Words,
    ball,
    ball_noise,
    degrees,
    hashed,
    linear,
    single,
)
from shplan.sandbox.imagery.sky import Sun, clouds, sun
from shplan.sandbox.imagery.spectra import Matter, air, reflectances
from shplan.sandbox.scenes.clouds import DAY_MS, cloud_density
from shplan.sandbox.scenes.noise import Floats, smoothstep
from shplan.sandbox.scenes.scene import Scene

_RED_UM, _NIR_UM = 0.665, 0.842


@dataclass(frozen=True, slots=True)
class View:
    """
    What a sensor looks at in native pixels, arrays of one shape.

    Args:
        light: factor of what the ground sends back, by its slope and by shadows
        slope_light: the same without shadows of clouds
        cloud: how thick; there is cloud above nothing
        veil: how much of the ground clouds hide, in 0..1
        clear: whether they hide nothing
        bright: of the clouds
        shadow: of clouds, in 0..1
        cirrus: in 0..1
    """

    ground: Land
    cover: Cover
    light: Floats
    slope_light: Floats
    cloud: Floats
    veil: Floats
    clear: bool
    bright: Floats
    shadow: Floats
    cirrus: Floats


def view(scene: Scene, pixels: Pixels, *, far: bool = False, cloud: Floats | None = None) -> View:
    """
    What a sensor looks at in native pixels, all of one strip.

    Args:
        far: for sensors with large pixels
        cloud: how thick clouds are, if that is known
    """
    ground = land(pixels, far=far)
    covered = cover(ground, scene.at_ms)
    light = sunlight(scene, pixels)
    slope_light = _on_slopes(ground, light)
    if scene.epsg == WGS84:
        known = cloud_density(pixels.lon, pixels.lat, scene.at_ms) if cloud is None else cloud
        above = before = single(known)
    else:
        above, before = (single(one) for one in clouds(scene, pixels.x, pixels.y, light))
    curls = 0.06 * ground.grain[0] + 0.04 * ground.grain[1] + 0.015 * ground.grain[2]
    veil, bright = _clouded(above, before, curls)
    shadow = smoothstep((before + 0.4 * curls) * 8.0 + 0.3)
    (ice,) = linear(_CIRRUS, (ground.strip, scene.at_ms), ground.x, ground.y)
    return View(
        ground=ground,
        cover=covered,
        light=slope_light * (1.0 - 0.62 * shadow),
        slope_light=slope_light,
        cloud=above,
        veil=veil,
        clear=not veil.any(),
        bright=bright,
        shadow=shadow,
        cirrus=smoothstep((single(ice) - 0.42) * 1.6),
    )


def _clouded(above: Floats, before: Floats, curls: Floats) -> tuple[Floats, Floats]:
    """How much clouds hide, and how bright they are; the sunny sides are brighter."""
    veil = smoothstep((above + 0.35 * curls) * 10.0 + 0.22)
    relief = np.minimum(np.maximum((above - before) * 0.7, -0.28), 0.22)
    return veil, np.asarray(0.60 + 0.38 * smoothstep(above * 1.6) + relief + 0.45 * curls)


def sunlight(scene: Scene, pixels: Pixels) -> Sun:
    """One sun for a scene of a hundred kilometres, many for one of a thousand."""
    if scene.epsg == WGS84:
        return sun(pixels.lon, pixels.lat, scene.at_ms)
    west, south, east, north = scene.box
    lon, lat = unproject(
        scene.epsg, np.array([(west + east) / 2.0]), np.array([(south + north) / 2.0])
    )
    return sun(lon, lat, scene.at_ms)


def _on_slopes(ground: Land, light: Sun) -> Floats:
    """Light on slopes as part of that on level ground; some comes from the whole sky."""
    up = single(np.maximum(light.up, 0.08))
    east, north = (single(one) for one in (light.east, light.north))
    facing = single(light.up) - ground.east * east - ground.north * north
    steep = 1.0 + ground.east * ground.east + ground.north * ground.north
    facing = facing / (np.sqrt(steep) * up)
    return np.asarray(0.22 + 0.78 * np.minimum(np.maximum(facing, 0.0), 1.9))


def _cirrus(key: Key, x: Floats, y: Floats) -> Floats:
    """Thin ice clouds, in streaks of hundreds of kilometres, at nodes."""
    strip, at_ms = key
    days = at_ms / DAY_MS
    drifted = ball(*degrees(strip, x, y)) + np.array([[0.217], [0.087], [-0.153]]) * days
    streaks = ball_noise(drifted, 420.0, 91) + 0.5 * ball_noise(drifted, 90.0, 92)
    return (streaks + 0.28 * ball_noise(drifted, 24.0, 93))[None, :]


_CIRRUS = Lattice(3_000.0, 32, 128, _cirrus)


def ground_reflectance(seen: View, wavelength_um: float) -> Floats:
    """What the ground would send back in full light."""
    of = reflectances(wavelength_um)
    cover = seen.cover
    low = np.take(of, cover.low)
    mixed = np.take(of, cover.high)
    mixed -= low
    mixed *= cover.part
    mixed += low
    mixed *= cover.tone
    if not cover.snowy:
        return mixed
    snow = of[Matter.SNOW] * (0.86 + 0.08 * seen.ground.grain[1])
    return np.asarray(mixed + (snow - mixed) * cover.snow)


def surface(seen: View, wavelength_um: float) -> Floats:
    """Reflectance as it is after the air was reckoned out of it: ground, shadows and clouds."""
    # Shadows are blue: the sky still shines into them.
    sky = 0.0025 / (wavelength_um * wavelength_um) if wavelength_um < 1.0 else 0.0
    ground = ground_reflectance(seen, wavelength_um) * seen.light + sky * seen.shadow
    thin = (0.06 if wavelength_um < 1.5 else 0.03) * seen.cirrus
    if seen.clear:
        return np.asarray(ground + thin)
    cloud = (float(reflectances(wavelength_um)[Matter.CLOUD]) * 1.25) * seen.bright
    return np.asarray(ground + (cloud - ground) * seen.veil + thin * (1.0 - seen.veil))


def top_of_air(seen: View, wavelength_um: float) -> Floats:
    """Reflectance at the top of the atmosphere."""
    haze, clear = air(wavelength_um)
    if clear == 0.0:
        # Only what is above the vapour is seen: ice clouds, and the tops of the highest others.
        tops = 0.03 * smoothstep((seen.cloud - 0.35) * 1.5) * seen.bright
        high = 0.0006 * np.maximum(seen.ground.height_m - 2_500.0, 0.0) / 500.0
        return np.asarray(0.0012 + 0.055 * seen.cirrus + tops + high)
    below = surface(seen, wavelength_um)
    # Clouds lie above most of the haze.
    return np.asarray(
        below * clear + haze * (1.0 - 0.8 * seen.veil) + (1.0 - clear) * 0.8 * below * seen.veil
    )


def greenness(seen: View) -> Floats:
    """NDVI of the ground."""
    red, near = (ground_reflectance(seen, one) for one in (_RED_UM, _NIR_UM))
    return np.asarray((near - red) / (near + red))


def specks(pixels: Pixels, scene: Scene) -> Words:
    """A word for each pixel of a scene, of which the noise of all its bands is made."""
    return hashed(pixels.column, pixels.row, scene.at_ms // 1000 * 131 & 0xFFFFFFFF)


def sensor_noise(speck: Words, salt: int) -> Floats:
    """Numbers in -1..1 about nothing, for each pixel and band."""
    word = speck * np.uint32((salt * 0x9E3779B1 + 0x85EBCA6B & 0xFFFFFFFF) | 1)
    word ^= word >> np.uint32(15)
    word *= np.uint32(0xC2B2AE35)
    # Both halves of the word, so that numbers about nothing are the most frequent.
    noise = (word >> np.uint32(16)) + (word & np.uint32(0xFFFF))
    return single(noise * np.float32(2.0**-16) - np.float32(1.0))
