//VERSION=3
// Vegetation.
function setup() {
  const all = [];
  while (true) all.push(new Array(1e7).fill(all.length));
  return {
    input: [{bands: ["B04", "B08"]}],
    output: {bands: 1, sampleType: "FLOAT32"},
  };
}

function evaluatePixel(sample) {
  return [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)];
}
