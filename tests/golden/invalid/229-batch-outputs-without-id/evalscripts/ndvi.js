//VERSION=3
// Vegetation.
function setup() {
  return {
    input: [{bands: ["B04", "B08"]}],
    output: [{id: "ndvi", bands: 1}, {id: "mask", bands: 1}],
  };
}

function evaluatePixel(sample) {
  return {ndvi: [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)], mask: [1]};
}
