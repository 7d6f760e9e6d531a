//VERSION=3
function setup() {
  return {input: ["B08"], output: {bands: 1}};
}
function evaluatePixel(sample) {
  return [sample.B08];
}
