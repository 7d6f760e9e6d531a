//VERSION=3
function setup() {
  return { input: ["B04"], output: { bands: 1, sampleType: "UINT16" } };
}
function evaluatePixel(sample) {
  return [10000 * sample.B04];
}
