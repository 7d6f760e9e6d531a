//VERSION=3
// Vegetation.
function setup() {
  return {
    input: [{bands: ["B04", "B08"]}],
    output: [{id: "a", bands: 1}, {id: "a", bands: 2}],
  };
}

function evaluatePixel(sample) {
  return [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)];
}
