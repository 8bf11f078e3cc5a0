// The address of the server, as a person types it.

/** What is typed is no address, for a reason that a person can read. */
export class AddressError extends Error {
  name = "AddressError";
}

const HAS_SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;
const SCHEMES = new Map([
  ["http:", "http:"],
  ["ws:", "http:"],
  ["https:", "https:"],
  ["wss:", "https:"],
]);
const EXAMPLE = "Write it like http://localhost:9090.";

/**
 * Where things are on a server.
 *
 * @typedef {object} Endpoints
 * @property {string} page Of its captions page, and what all else is relative to.
 * @property {string} socket Of `/asr`.
 * @property {string} info Of `/info`.
 */

/**
 * @param {string} typed For example `http://localhost:9090`; without a scheme, `http` is meant.
 * @returns {Endpoints}
 * @throws {AddressError}
 */
export function findEndpoints(typed) {
  const page = parse(typed.trim());
  const socket = new URL("asr", page);
  socket.protocol = page.protocol.replace("http", "ws");
  return { page: page.href, socket: socket.href, info: new URL("info", page).href };
}

/** @param {string} typed */
function parse(typed) {
  if (!typed) throw new AddressError(`The address of the server is missing. ${EXAMPLE}`);
  const [scheme] = HAS_SCHEME.exec(typed) ?? ["http://"];
  const protocol = SCHEMES.get(scheme.slice(0, -2).toLowerCase());
  if (!protocol) throw new AddressError(`An address begins with http:// or https://. ${EXAMPLE}`);
  const rest = typed.replace(HAS_SCHEME, "");
  const url = URL.parse(`${protocol}//${rest}`);
  // Browsers make "%20" of a space in a name, which no server has.
  if (!url || /[%\s]/.test(url.hostname)) {
    throw new AddressError(`“${typed}” is not an address. ${EXAMPLE}`);
  }
  if (url.username || url.password) {
    throw new AddressError("Browsers send no name and password to such a server. Leave them out.");
  }
  // Someone may have copied the address of the socket, or of the page with its options.
  const path = url.pathname.replace(/\/(asr)?\/?$/, "");
  return new URL(`${url.origin}${path}/`);
}
