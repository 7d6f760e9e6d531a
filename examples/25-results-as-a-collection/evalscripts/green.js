//VERSION=3
function setup() {
  return { input: ["greenness"], output: { bands: 1, sampleType: "UINT8" } };
}
function evaluatePixel(sample) {
  return [sample.greenness > 50 ? 1 : 0];
}
