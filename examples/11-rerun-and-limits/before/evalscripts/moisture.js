//VERSION=3
function setup() {
  return {input: ["B8A", "B11"], output: {bands: 1, sampleType: "FLOAT32"}};
}

function evaluatePixel(sample) {
  return [(sample.B8A - sample.B11) / (sample.B8A + sample.B11)];
}
