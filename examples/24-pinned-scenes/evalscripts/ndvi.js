//VERSION=3
// Vegetation: the difference of near infrared and red, over their sum.
function setup() {
  return {
    input: ["B04", "B08", "dataMask"],
    output: {bands: 1, sampleType: "FLOAT32"},
  };
}

function evaluatePixel(sample) {
  if (!sample.dataMask) {
    return [NaN];
  }
  return [(sample.B08 - sample.B04) / (sample.B08 + sample.B04)];
}
