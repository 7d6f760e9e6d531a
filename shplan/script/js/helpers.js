// The globals that the service gives to scripts. Evaluated to a function that installs them.
//
// Source: Evalscript, "Utilities" (names, arguments, worked values, palettes). Where the worked values and
// the prose differ, the values decide: the ramp truncates to steps of 1/255, the older gradient rounds.
// What published scripts use and the page lacks (DefaultVisualizer, HighlightCompressVisualizerSingle,
// Identity, processList, getColorFromValue, ColorGradientVisualizer, colorBlend) is kept as described.
//
// Every colour is a fresh array, because scripts push an alpha value onto it.
(function (target) {
  "use strict";

  const JAVA_DOUBLE_MAX_VAL = 1.7976931348623157e308;
  const KNEE = 0.92;
  // Above the knee twice the distance to the maximum is what is left of the range.
  const SLOPE = 0.08 / 1.08;

  function int2rgb(color) {
    return [(color >> 16) & 255, (color >> 8) & 255, color & 255];
  }

  function rgb2int(color) {
    return (color[0] << 16) + (color[1] << 8) + color[2];
  }

  function normalizeRGB(color) {
    return color.map((channel) => channel / 255);
  }

  function combine(color1, color2, alpha) {
    return color1.map((channel, i) => channel * alpha + color2[i] * (1 - alpha));
  }

  function index(x, y) {
    return x + y === 0 ? 0 : (x - y) / (x + y);
  }

  function inverse(x) {
    return x === 0 ? JAVA_DOUBLE_MAX_VAL : 1 / x;
  }

  function valueMap(value, intervals, values) {
    if (!intervals) return value;
    for (let i = 0; i < intervals.length; i++) {
      if (value <= intervals[i]) return values[i];
    }
    return values[values.length - 1];
  }

  function between(low, high, share) {
    if (!Array.isArray(low)) return low + (high - low) * share;
    const made = [];
    for (let k = 0; k < low.length; k++) made.push(low[k] + (high[k] - low[k]) * share);
    return made;
  }

  function copied(value) {
    return Array.isArray(value) ? value.slice() : value;
  }

  // The first interval that a value between the ends is in.
  function intervalOf(value, intervals) {
    let at = 1;
    while (value >= intervals[at]) at++;
    return at;
  }

  function valueInterpolate(value, intervals, values) {
    if (!intervals) return value;
    const last = intervals.length - 1;
    if (!(value > intervals[0])) return value <= intervals[0] ? copied(values[0]) : missing(values[0]);
    if (value >= intervals[last]) return copied(values[last]);
    const at = intervalOf(value, intervals);
    const low = intervals[at - 1];
    return between(values[at - 1], values[at], (value - low) / (intervals[at] - low));
  }

  // What comes of a value that is no number.
  function missing(like) {
    return Array.isArray(like) ? like.map(() => NaN) : NaN;
  }

  function colorBlend(value, limits, colors) {
    return valueInterpolate(value, limits, colors);
  }

  function channels(color) {
    return Array.isArray(color) ? color.map((channel) => channel * 255) : int2rgb(color);
  }

  const blueRed = [
    [1.0, 0x000080], [0.875, 0x0000ff], [0.625, 0x00ffff],
    [0.375, 0xffff00], [0.125, 0xff0000], [0.0, 0x800000],
  ];
  const redTemperature = [
    [1.0, 0x000000], [0.525, 0xae0000], [0.3, 0xff6e00], [0.25, 0xff8600], [0.0, 0xffffff],
  ];
  const greenWhite = [[1.0, 0x000000], [0.6, 0x006600], [0.3, 0x80b300], [0.0, 0xffffff]];
  const oceanColor = [
    [0.0, 147, 0, 108], [0.0471, 111, 0, 144], [0.098, 72, 0, 183], [0.149, 33, 0, 222],
    [0.2, 0, 10, 255], [0.2471, 0, 74, 255], [0.298, 0, 144, 255], [0.349, 0, 213, 255],
    [0.4, 0, 255, 215], [0.4471, 0, 255, 119], [0.498, 0, 255, 15], [0.549, 96, 255, 0],
    [0.6, 200, 255, 0], [0.6471, 255, 235, 0], [0.698, 255, 183, 0], [0.749, 255, 131, 0],
    [0.8, 255, 79, 0], [0.8471, 255, 31, 0], [0.898, 230, 0, 0], [0.949, 165, 0, 0],
    [1.0, 105, 0, 0],
  ].map(([position, ...color]) => [position, normalizeRGB(color)]);

  // Published scripts make a visualizer for every pixel: what is in order is not sorted, and a colour is not taken
  // apart before it is needed.
  function ascending(pairs) {
    if (!Array.isArray(pairs)) throw new TypeError("a list of pairs of a value and its color is wanted");
    for (let i = 1; i < pairs.length; i++) {
      if (!(pairs[i - 1][0] <= pairs[i][0])) {
        return pairs.slice().sort((one, other) => one[0] - other[0]);
      }
    }
    return pairs;
  }

  function positionsOf(pairs) {
    const positions = [];
    for (let i = 0; i < pairs.length; i++) positions.push(pairs[i][0]);
    return positions;
  }

  function colorsOf(pairs) {
    const colors = [];
    for (let i = 0; i < pairs.length; i++) colors.push(pairs[i][1]);
    return colors;
  }

  class Visualizer {
    processList(values) {
      return values.map((value, i) => this.process(value, i));
    }
  }

  class ColorMapVisualizer extends Visualizer {
    constructor(valColPairs) {
      super();
      const pairs = ascending(valColPairs);
      this.bounds = positionsOf(pairs);
      this.listed = colorsOf(pairs);
      this.colors = [];
    }

    static createDefaultColorMap() {
      return new ColorMapVisualizer([
        [-1.0, 0x000000], [-0.2, 0xff0000], [-0.1, 0x9a0000], [0.0, 0x660000], [0.1, 0xffff33],
        [0.2, 0xcccc33], [0.3, 0x666600], [0.4, 0x33ffff], [0.5, 0x33cccc], [0.6, 0x006666],
        [0.7, 0x33ff33], [0.8, 0x33cc33], [0.9, 0x006600],
      ]);
    }

    process(value) {
      const { bounds } = this;
      let at = bounds.length - 1;
      while (at > 0 && !(value >= bounds[at])) at--;
      let color = this.colors[at];
      if (color === undefined) color = this.colors[at] = normalizeRGB(channels(this.listed[at]));
      return color.slice();
    }

    getColorFromValue(value) {
      return this.process(value);
    }
  }

  // A scale of colours; `step` brings a channel to one of its 256 values.
  class Scale extends Visualizer {
    constructor(positions, listed, step) {
      super();
      this.positions = positions;
      this.listed = listed;
      this.colors = [];
      this.step = step;
    }

    color(at) {
      const known = this.colors[at];
      return known === undefined ? this.colors[at] = channels(this.listed[at]) : known;
    }

    process(value) {
      const { positions } = this;
      const last = positions.length - 1;
      if (value >= positions[last]) return this.shade(this.color(last), this.color(last), 0);
      if (value <= positions[0]) return this.shade(this.color(0), this.color(0), 0);
      if (!(value > positions[0])) return missing(this.color(0));
      const at = intervalOf(value, positions);
      const low = positions[at - 1];
      return this.shade(this.color(at - 1), this.color(at), (value - low) / (positions[at] - low));
    }

    shade(low, high, share) {
      const { step } = this;
      if (low.length === 3) {
        // Written out, because this is where most of the time of published scripts goes.
        return [
          step(low[0] + (high[0] - low[0]) * share) / 255,
          step(low[1] + (high[1] - low[1]) * share) / 255,
          step(low[2] + (high[2] - low[2]) * share) / 255,
        ];
      }
      const made = [];
      for (let k = 0; k < low.length; k++) {
        made.push(step(low[k] + (high[k] - low[k]) * share) / 255);
      }
      return made;
    }

    getColorFromValue(value) {
      return this.process(value);
    }
  }

  function rescaled(positions, from, to) {
    const low = positions[0];
    const high = positions[positions.length - 1];
    const min = from === undefined ? low : from;
    const max = to === undefined ? high : to;
    if (min === low && max === high) return positions;
    return positions.map((position) => min + ((position - low) / (high - low)) * (max - min));
  }

  // The worked values of these palettes have ascending positions with the colours in the order of the list.
  const turned = new Map([blueRed, redTemperature, greenWhite].map((palette) => {
    const positions = palette.map((pair) => pair[0]).sort((one, other) => one - other);
    return [palette, palette.map((pair, i) => [positions[i], pair[1]])];
  }));

  class ColorRampVisualizer extends Scale {
    // A list of a script may begin at either end, as published ones of heights begin at the summits: every
    // position keeps its colour.
    constructor(ramps, minVal, maxVal) {
      const pairs = ascending(turned.get(ramps) || ramps);
      super(rescaled(positionsOf(pairs), minVal, maxVal), colorsOf(pairs), Math.trunc);
    }

    static createRedTemperature(minVal, maxVal) {
      return new ColorRampVisualizer(redTemperature, minVal, maxVal);
    }

    static createWhiteGreen(minVal, maxVal) {
      return new ColorRampVisualizer(greenWhite, minVal, maxVal);
    }

    static createBlueRed(minVal, maxVal) {
      return new ColorRampVisualizer(blueRed, minVal, maxVal);
    }

    static createOceanColor(minVal, maxVal) {
      return new ColorRampVisualizer(oceanColor, minVal, maxVal);
    }

    inverse() {
      const last = this.positions.length - 1;
      return new ColorRampVisualizer(
        this.positions.map((position, i) => [position, normalizeRGB(this.color(last - i))]),
      );
    }
  }

  class ColorGradientVisualizer extends Scale {
    // Positions are shares of the way from the minimum to the maximum.
    constructor(valColPairs, minVal = 0, maxVal = 1) {
      const sorted = ascending(valColPairs);
      const positions = sorted.map((pair) => minVal + pair[0] * (maxVal - minVal));
      super(positions, colorsOf(sorted), Math.round);
    }

    static createRedTemperature(minVal, maxVal) {
      return mirrored(redTemperature, minVal, maxVal);
    }

    static createWhiteGreen(minVal, maxVal) {
      return mirrored(greenWhite, minVal, maxVal);
    }

    static createBlueRed(minVal, maxVal) {
      return mirrored(blueRed, minVal, maxVal);
    }

    static createOceanColor(minVal, maxVal) {
      return new ColorGradientVisualizer(oceanColor, minVal, maxVal);
    }
  }

  // The palettes that run from 1 down to 0 are read from the other end.
  function mirrored(palette, minVal, maxVal) {
    const pairs = palette.map(([position, color]) => [1 - position, color]);
    return new ColorGradientVisualizer(pairs, minVal, maxVal);
  }

  function limit(value, i) {
    return Array.isArray(value) ? value[i || 0] : value;
  }

  class DefaultVisualizer extends Visualizer {
    constructor(minValue = 0, maxValue = 1, gain = 1, offset = 0, gamma = 1) {
      super();
      this.minValue = minValue;
      this.maxValue = maxValue;
      this.gain = gain;
      this.offset = offset;
      this.gamma = gamma;
    }

    // The order of gain, offset and gamma is not published; at their defaults they change nothing.
    share(value, i) {
      const low = limit(this.minValue, i);
      const scaled = limit(this.gain, i) * value + limit(this.offset, i);
      const share = (scaled - low) / (limit(this.maxValue, i) - low);
      const gamma = limit(this.gamma, i);
      return gamma === 1 || share <= 0 ? share : Math.pow(share, 1 / gamma);
    }

    process(value, i) {
      return Math.min(Math.max(this.share(value, i), 0), 1);
    }
  }

  class HighlightCompressVisualizer extends DefaultVisualizer {
    process(value, i) {
      const share = this.share(value, i);
      const bent = share > KNEE ? KNEE + (share - KNEE) * SLOPE : share;
      return Math.min(Math.max(bent, 0), 1);
    }
  }

  class HighlightCompressVisualizerSingle extends HighlightCompressVisualizer {
    process(value, i) {
      return [super.process(value, i)];
    }
  }

  class Identity extends Visualizer {
    process(value) {
      return Array.isArray(value) ? value.slice() : [value];
    }

    processList(values) {
      return values.slice();
    }
  }

  // Source: USGS, Landsat 8-9 Collection 2, "QA_PIXEL" bits.
  const LANDSAT_BITS = [
    "fill", "dilatedCloud", "cirrus", "cloud", "cloudShadow", "snow", "clear", "water",
  ];
  const LANDSAT_PAIRS = [
    "cloudConfidence", "cloudShadowConfidence", "snowIceConfidence", "cirrusConfidence",
  ];

  function decodeL8C2Qa(value) {
    const flags = {};
    LANDSAT_BITS.forEach((name, bit) => { flags[name] = (value >> bit) & 1; });
    LANDSAT_PAIRS.forEach((name, pair) => { flags[name] = (value >> (8 + 2 * pair)) & 3; });
    return flags;
  }

  // Source: ESA, Sentinel-3 OLCI Level-1 product, "quality_flags"; from the highest bit down.
  const OLCI_BITS = [
    "land", "coastline", "fresh_inland_water", "tidal_region", "bright", "straylight_risk", "invalid",
    "cosmetic", "duplicated", "sun_glint_risk", "dubious",
    ...Array.from({ length: 21 }, (_, band) => `saturatedB${String(band + 1).padStart(2, "0")}`),
  ];

  function decodeS3OLCIQualityFlags(value) {
    const flags = {};
    OLCI_BITS.forEach((name, place) => { flags[name] = (value >>> (31 - place)) & 1; });
    return flags;
  }

  const constants = (...names) => Object.fromEntries(names.map((name) => [name, name]));
  const globals = {
    SampleType: constants("AUTO", "INT8", "UINT8", "INT16", "UINT16", "FLOAT32"),
    Mosaicking: constants("SIMPLE", "ORBIT", "TILE"),
    JAVA_DOUBLE_MAX_VAL, blueRed, redTemperature, greenWhite, oceanColor,
    ColorMapVisualizer, ColorRampVisualizer, ColorGradientVisualizer, DefaultVisualizer,
    HighlightCompressVisualizer, HighlightCompressVisualizerSingle, Identity,
    int2rgb, rgb2int, normalizeRGB, combine, index, inverse, valueMap, valueInterpolate, colorBlend,
    decodeL8C2Qa, decodeS3OLCIQualityFlags,
  };
  // Configurable, so that a script may declare the same names.
  for (const name of Object.keys(globals)) {
    Object.defineProperty(target, name, {
      value: globals[name], configurable: true, writable: true, enumerable: false,
    });
  }
})
