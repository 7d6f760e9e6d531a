//VERSION=3
function setup() {
  return {
    input: ["moisture", "temperature"],
    output: {bands: 1, sampleType: "FLOAT32"}
  };
}

function evaluatePixel(sample) {
  return [sample.temperature / (1 + sample.moisture)];
}
