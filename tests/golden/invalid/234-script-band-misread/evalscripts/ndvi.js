//VERSION=3
// A band is read that nobody asks for, and one is asked for that nobody reads.
function setup() {
  return {
    input: [{bands: ["B04", "B08", "B11"]}],
    output: [{id: "ndvi", bands: 2, sampleType: "FLOAT32"}, {id: "mask", bands: 1}],
  };
}

function evaluatePixel(sample) {
  return {ndvi: [(sample.B8A - sample.B04) / (sample.B08 + sample.B04)], msk: [1]};
}
