// Alipay's official SDK, asked by a test: as a merchant's client, and to verify what a test made.
'use strict';
const crypto = require('node:crypto');
const { AlipaySdk } = require('alipay-sdk');
const serve = require('./lines.cjs');

const sdks = {};

function rsa2(text, key) {
  const der = Buffer.from(key, 'base64');
  return crypto.createSign('RSA-SHA256').update(text, 'utf8')
    .sign({ key: der, format: 'der', type: 'pkcs8' }, 'base64');
}

serve({
  // A new key pair, as Alipay's consoles show them: base64 of PKCS#8, and of the SubjectPublicKeyInfo.
  key() {
    const { privateKey, publicKey } = crypto.generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'der' },
      privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    });
    return { private: privateKey.toString('base64'), public: publicKey.toString('base64') };
  },

  // Opens the SDK under a name, and tells the numbers of certificates that it computes.
  open({ as, config }) {
    sdks[as] = new AlipaySdk({ keyType: 'PKCS8', ...config });
    const { appCertSn, alipayCertSn, alipayRootCertSn } = sdks[as].config;
    return { app: appCertSn, alipay: alipayCertSn, root: alipayRootCertSn };
  },

  // Whether fields are signed by the other side. Of a request `sign_type` is signed too, of a notification it is not.
  verifies: ({ as, fields }) => sdks[as].checkNotifySignV2(fields),

  // What the SDK itself makes of the same words.
  order: ({ as, method, params }) => sdks[as].sdkExec(method, params),
  page: ({ as, method, params }) => sdks[as].pageExec(method, { method: 'GET', ...params }),

  // Asks the gateway; the answer's signature must hold.
  exec: ({ as, method, params }) => sdks[as].exec(method, params, { validateSign: true }),

  // An answer whose signed part is the one that the SDK finds in it.
  answer({ as, method, object, key, more }) {
    const root = `${method.replaceAll('.', '_')}_response`;
    const body = (sign) => `{"${root}":${object},${more ?? ''}"sign":"${sign}"}`;
    // The SDK counts on a signature as long as real ones.
    return body(rsa2(sdks[as].getSignStr(body('A'.repeat(344)), root), key));
  },

  // A notification of these fields. The SDK itself takes it, or it is none.
  notice({ as, fields, key }) {
    const text = Object.keys(fields).filter((name) => name !== 'sign_type').sort()
      .map((name) => `${name}=${fields[name]}`).join('&');
    const signed = { ...fields, sign: rsa2(text, key) };
    if (!sdks[as].checkNotifySignV2(signed)) throw new Error('the SDK does not take it');
    return new URLSearchParams(signed).toString();
  },
});
