// The difference of two pictures, |A - B| times a gain: on the graphics card where there is one, else
// by the canvas itself (a WebGL that is computed by the processor is slower than that).
const VERTEX = `attribute vec2 at; varying vec2 uv;
void main() { uv = vec2(at.x * 0.5 + 0.5, 0.5 - at.y * 0.5); gl_Position = vec4(at, 0.0, 1.0); }`;
const FRAGMENT = `precision mediump float; varying vec2 uv; uniform sampler2D a; uniform sampler2D b; uniform float gain;
void main() { gl_FragColor = vec4(abs(texture2D(a, uv).rgb - texture2D(b, uv).rgb) * gain, 1.0); }`;

export class Difference {
  #gl = null; #canvas = null; #scratch = null; #gain = null;

  // `way`: "webgl" or "canvas", where it is not to be the faster one.
  constructor(way = null) {
    this.#canvas = document.createElement("canvas");
    if (way === "canvas") return;
    const wanted = { alpha: false, antialias: false, failIfMajorPerformanceCaveat: way === null };
    const gl = this.#canvas.getContext("webgl", wanted);
    if (gl && (way || !bySoftware(gl))) this.#prepare(gl);
  }

  get by() { return this.#gl ? "webgl" : "canvas"; }

  // Paints it onto a 2D context at `at`; both pictures are stretched to that rectangle.
  draw(context, a, b, at, size, gain) {
    if (this.#gl && !this.#gl.isContextLost()) {
      this.#shade(a, b, size, gain);
      context.drawImage(this.#canvas, at.x, at.y, at.width, at.height);
    } else {
      this.#blend(context, a, b, at, gain);
    }
  }

  #prepare(gl) {
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return;
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    const at = gl.getAttribLocation(program, "at");
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);
    for (const unit of [0, 1]) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
      for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
      gl.uniform1i(gl.getUniformLocation(program, "ab"[unit]), unit);
    }
    this.#gain = gl.getUniformLocation(program, "gain");
    this.#gl = gl;
  }

  #shade(a, b, size, gain) {
    const gl = this.#gl;
    if (this.#canvas.width !== size.width || this.#canvas.height !== size.height) {
      Object.assign(this.#canvas, { width: size.width, height: size.height });
      gl.viewport(0, 0, size.width, size.height);
    }
    for (const [unit, picture] of [a, b].entries()) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, picture);
    }
    gl.uniform1f(this.#gain, gain);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  #blend(context, a, b, at, gain) {
    this.#scratch ??= document.createElement("canvas");
    const scratch = this.#scratch;
    const [width, height] = [context.canvas.width, context.canvas.height];
    if (scratch.width !== width || scratch.height !== height) Object.assign(scratch, { width, height });
    const paint = scratch.getContext("2d", { alpha: false });
    paint.imageSmoothingEnabled = context.imageSmoothingEnabled;
    paint.globalCompositeOperation = "source-over";
    paint.globalAlpha = 1;
    paint.drawImage(a, at.x, at.y, at.width, at.height);
    paint.globalCompositeOperation = "difference";
    paint.drawImage(b, at.x, at.y, at.width, at.height);
    context.save();
    const x = Math.max(0, at.x);
    const y = Math.max(0, at.y);
    const seen = [x, y, Math.min(width, at.x + at.width) - x, Math.min(height, at.y + at.height) - y];
    const add = (from, share) => {
      context.globalAlpha = share;
      context.drawImage(from, ...seen, ...seen);
    };
    context.globalCompositeOperation = "copy";
    context.beginPath();
    context.rect(...seen);
    context.clip();
    add(scratch, 1);
    context.globalCompositeOperation = "lighter";
    let now = 1; // doubled by adding the picture to itself, then what is left of the gain
    for (; now * 2 <= gain; now *= 2) add(context.canvas, 1);
    if (gain > now) {
      for (let rest = gain - now; rest > 0; rest -= 1) add(scratch, Math.min(1, rest));
    }
    context.restore();
  }
}

function bySoftware(gl) {
  const told = gl.getExtension("WEBGL_debug_renderer_info");
  const name = gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}
