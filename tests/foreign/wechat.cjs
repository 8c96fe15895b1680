// A widely used client of WeChat Pay for Node, asked by a test: as a merchant's client, to verify what a test made, and
// to make what WeChat Pay sends.
'use strict';
const { Wechatpay, Rsa, Formatter, Aes, Hash, Transformer, Decorator } = require('wechatpay-axios-plugin');
const serve = require('./lines.cjs');

let client;
let older;
let secret;

const publicKey = (pem) => Rsa.from(pem, Rsa.KEY_TYPE_PUBLIC);
const seal = (text, aad, key) => {
  const nonce = Formatter.nonce(12);
  const ciphertext = Aes.AesGcm.encrypt(text, key, nonce, aad);
  return { algorithm: 'AEAD_AES_256_GCM', nonce, associated_data: aad, ciphertext };
};

serve({
  // Whether lines are signed.
  lines: ({ lines, signature, key }) => Rsa.verify(Formatter.joinedByLineFeed(...lines), signature, publicKey(key)),

  // Whether a request is signed as its Authorization says.
  request({ method, target, body, authorization, key }) {
    const field = (name) => new RegExp(`[ ,]${name}="([^"]*)"`).exec(authorization)[1];
    const text = Formatter.request(method, target, field('timestamp'), field('nonce_str'), body);
    // The same fields, put together again, are the same header.
    const fields = ['mchid', 'nonce_str', 'signature', 'timestamp', 'serial_no'].map(field);
    if (Formatter.authorization(...fields).split(/[ ,]/).sort().join() !== authorization.split(/[ ,]/).sort().join()) {
      throw new Error('Authorization is written otherwise');
    }
    return Rsa.verify(text, field('signature'), publicKey(key));
  },

  // Whether an answer or a notification proves itself, by the client's own verifier. Header names are in lower case.
  message({ headers, body, keys }) {
    const certs = Object.fromEntries(Object.entries(keys).map(([serial, pem]) => [serial, publicKey(pem)]));
    const read = Decorator.responseVerifier(certs).call({}, body, headers, 200);
    if (read !== body) throw new Error(read.message);
    return true;
  },

  // What is sealed in a notification.
  open: ({ sealed, key }) => Aes.AesGcm.decrypt(sealed.ciphertext, key, sealed.nonce, sealed.associated_data),

  // The headers with which WeChat Pay signs a body now, or `ago` seconds ago.
  sign({ body, serial, key, ago }) {
    const [timestamp, nonce] = [`${Formatter.timestamp() - (ago ?? 0)}`, Formatter.nonce()];
    const signature = Rsa.sign(Formatter.response(timestamp, nonce, body), Rsa.from(key, Rsa.KEY_TYPE_PRIVATE));
    return {
      'wechatpay-timestamp': timestamp,
      'wechatpay-nonce': nonce,
      'wechatpay-serial': serial,
      'wechatpay-signature': signature,
    };
  },

  // The body of a notification, and of the list of certificates.
  notice: ({ event, kind, content, key }) => JSON.stringify({
    id: Formatter.nonce(36),
    create_time: '2026-11-25T12:00:00+08:00',
    event_type: event,
    resource_type: 'encrypt-resource',
    summary: '支付成功',
    resource: { original_type: kind, ...seal(JSON.stringify(content), kind, key) },
  }),
  certificates: ({ certificates, key }) => JSON.stringify({
    data: Object.entries(certificates).map(([serial_no, pem]) => ({
      serial_no,
      effective_time: '2026-11-01T00:00:00+08:00',
      expire_time: '2031-11-01T00:00:00+08:00',
      encrypt_certificate: seal(pem, 'certificate', key),
    })),
  }),

  // Opens the client, and asks with it; what it does not verify, it throws.
  connect({ base, mchid, serial, key, keys, headers }) {
    const certs = Object.fromEntries(Object.entries(keys).map(([id, pem]) => [id, publicKey(pem)]));
    const privateKey = Rsa.from(key, Rsa.KEY_TYPE_PRIVATE);
    ({ client } = new Wechatpay({ baseURL: base, mchid, serial, privateKey, certs, headers, proxy: false }));
  },
  async call({ method, path, params, data }) {
    try {
      const answer = await client.request(path, method, data, { params });
      return { status: answer.status, data: answer.data };
    } catch (error) {
      // Refusals are answers too; what does not verify is none.
      if (typeof error.code === 'string' && error.code.startsWith('EV3_')) throw error;
      if (!error.response) throw error;
      return { status: error.response.status, data: error.response.data };
    }
  },

  // The older dialect. What is signed under the key: XML from values, and whether XML is.
  xml: ({ values, kind, key }) => Transformer.toXml({ ...values, sign: Hash.sign(kind, values, key) }),
  plain_xml: ({ values, root }) => `<${root}>${Transformer.toXml(values).slice('<xml>'.length, -'</xml>'.length)}</${root}>`,
  xml_holds({ xml, kind, key }) {
    const values = Transformer.toObject.call({}, xml);
    return Hash.equals(Hash.sign(kind, values, key), values.sign);
  },
  values: ({ xml }) => Transformer.toObject.call({}, xml),
  values_hold({ values, sign, kind, key }) {
    return Hash.equals(Hash.sign(kind, values, key), sign);
  },
  seal_refund: ({ text, key }) => Aes.AesEcb.encrypt(text, Hash.md5(key)),
  open_refund: ({ sealed, key }) => Transformer.toObject.call({}, Aes.AesEcb.decrypt(sealed, Hash.md5(key))),

  // Opens the older dialect's client, and asks with it; what it does not verify, it throws.
  connect_v2({ base, mchid, key }) {
    secret = key;
    older = Decorator.xmlBased({ baseURL: base, mchid, secret: key, proxy: false });
  },
  async call_v2({ path, data }) {
    try {
      return { data: (await older.post(path, data)).data };
    } catch (error) {
      // Refusals are answers too, which the client does not verify: whether they are signed is told beside them.
      if (error.code !== 'EV2_RES_STATUS_CODE_NOT_SUCESS') throw error;
      const { data: refusal } = error.response;
      const kind = refusal.sign?.length === 64 ? Hash.ALGO_HMAC_SHA256 : Hash.ALGO_MD5;
      const signed = refusal.sign !== undefined && Hash.equals(Hash.sign(kind, refusal, secret), refusal.sign);
      return { data: refusal, signed };
    }
  },
});
