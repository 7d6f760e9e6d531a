//VERSION=3
function setup() {
  return {
    input: ["B04", "B08"],
    output: { id: "greenness", bands: 1, sampleType: "UINT8" },
  };
}
function evaluatePixel(sample) {
  const ndvi = (sample.B08 - sample.B04) / (sample.B08 + sample.B04);
  return { greenness: [Math.max(0, 100 * ndvi)] };
}
